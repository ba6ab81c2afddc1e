# ---- Check it: python tiny_llm/model.py ------------------------------------------------------------------------

if __name__ == "__main__":
    import sys
    from pathlib import Path

    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here.parent))  # the course's folder
    try:
        from helpers import parts
    except ImportError:
        sys.exit("The checks are in the course's folder: put tiny_llm/ back there to run them.")
    sys.exit(parts.report(here))
