"""The sample play: about a million characters of verse, written by a grammar whose entropy is known exactly.

`python3 -m course sample-play` writes `data/sample_play.txt`. The same text comes out on every machine and every
Python from 3.10 on: the only random numbers are `random.Random(SEED).random()`, whose sequence Python promises not
to change, and everything else is integer arithmetic.

How it works. A play is a chain of choices. Each choice is made from a `Table`: a list of texts with integer weights.
The chosen text is written down at once, and the part of the text that is not free (the rest of a name, a full stop)
follows. Which table comes next depends on nothing but the text so far: on the place, the cast, who speaks to whom,
the sentence pattern, the noun that waits for its rhyme. Those last are the long threads that make the play worth
learning:
- spelling, thousands of words with common and rare ones, made-up names (Tob, Quist, Grosk), iambic pentameter;
- agreement: thou hast / you have, my ring / mine ear, the star doth / the stars do, she / he;
- rhyme: after a comma at the line's end the next line ends on a rhyme;
- questions get answers that take up their words; whoever is spoken to mostly answers;
- a scene: CHORUS names the place, which colours the vocabulary, and the cast, and only the cast speaks;
- people: their rank and house decide thou or you, their humour what they talk about, and each has an oath.

Why the entropy is exact. The cost of a choice is -ln p, p = weight / sum of weights. If the text tells which choices
were made, then p(text) is the product of their p, and -ln p(text) is the sum of their costs: nothing has to be
estimated, and no model that has not seen the text can be expected to need less. So the grammar must be unambiguous:
(1) within a table no two texts are equal, and none is the beginning of another, except that a longer one may go on
    with a character of a word (a letter, ' or -) where the shorter one ends a word (`Table` refuses anything else);
(2) after a text that ends with such a character, the grammar never goes on with one (`_check_joint` refuses it).
By (1) and (2), read from left to right, the text matches exactly one entry of the table at hand. By induction over
the choices there is exactly one chain of choices for a text. `read_play` follows it: it runs the same grammar with a
hand that reads where the other one writes, and refuses a text that the grammar cannot have written.

The floor. Each cost belongs to the first character that the choice decides: the first one in which the table's texts
differ. The sum of the costs in the validation part, divided by its length, is `helpers.data.SAMPLE_PLAY_FLOOR`.
"""

import math
import os
import random
import re
import sys
import tempfile
from bisect import bisect_right
from functools import cache
from itertools import accumulate
from pathlib import Path

SEED = 1616
LENGTH = 1_000_000  # the play ends with the first scene that ends after so many characters
TARGET = Path(__file__).resolve().parents[1] / "data" / "sample_play.txt"

# ------------------------------------------------------------------------------------------------ words

# One line per rhyme. The first words of each line are the common ones.
RHYMES = """
night light knight sight flight kite
moon tune spoon loon balloon
sea tree bee knee key flea
crown town gown clown frown
ring king wing string spring thing
rose nose prose hose
day way bay tray jay spray
star jar scar bar tar
sword board ward cord hoard lord
door shore oar store floor boar
stone throne bone loan cone
ship lip whip quip trip
bell well shell knell spell dell
boat goat coat moat note throat
wave grave cave knave
fire lyre choir spire squire
hill mill quill sill pill till
bird herd third word
brook book hook crook cook rook
wall hall ball shawl stall call
house mouse louse grouse
gate bait plate mate slate
dog frog log bog hog
bed thread head shed sled
rain train lane chain crane vein
song wrong gong throng
land strand wand band
dream stream beam team
field shield yield
tear spear deer beer
cat hat rat bat mat gnat
tale sail whale snail veil gale nail pail
fool tool stool pool mule school
glove dove
storm form swarm
flower tower hour shower bower
leaf thief chief sheaf reef
flute boot lute root newt suit
cloud shroud crowd
rock clock flock lock sock block
bow crow foe doe toe
oak cloak joke yoke stroke
drum plum crumb thumb
thorn horn morn
blade maid shade spade jade glade
face lace mace race vase trace
voice choice
vine shrine swine sign pine
cake snake lake rake stake
pie sky fly spy lie
shoe clew crew stew view hue
nest guest chest jest crest quest
pen hen wren den glen
pig wig fig twig jig
court fort sport port
path bath hearth
hound pound mound wound
prince quince
queen green scene screen bean
nurse purse verse curse hearse
bowl hole mole coal goal scroll
page cage stage sage
wheel heel meal seal eel
friend bend end
wife knife fife
judge grudge
chair bear hare heir prayer stair mare
seed weed reed deed bead steed
map cap trap lap
lamp stamp camp tramp
horse course source
kiss abyss
task mask flask cask
lamb yam
egg leg peg
inn pin sin chin
axe tax wax
yacht plot pot knot spot
orb robe
ox fox box
"""
PEOPLE = """sailor soldier beggar miller baker poet lover father sister mother brother hunter shepherd captain
piper tailor weaver barber preacher hermit pilgrim widow scholar merchant juggler fiddler porter farmer
butcher tinker jailer pirate cousin stranger master servant herald painter cobbler actor rival squatter brewer
goldsmith potter archer abbot bishop constable lawyer doctor sexton drummer ratter printer zany dancer singer
glover grocer hangman fishwife milkmaid ploughman footman kinsman statesman swordsman boatman bridesmaid
godson orphan infant umpire usher vicar parson sultan wizard prophet convict traitor dreamer jester hero
emperor heathen gambler braggart rascal villain scoundrel coward giant""".split()
THINGS = """garden river window candle mirror letter meadow castle lantern orchard apple raven feather ribbon
kingdom harbour mountain forest shadow whisper morning evening blossom pillow arrow banner trumpet anchor
tempest basket barrel button cradle chimney ladder ocean island pebble sparrow eagle falcon lion tiger monkey
donkey turnip onion pudding dumpling kettle saddle bridle hammer needle thimble bottle goblet dagger helmet
cannon chapel temple altar pulpit steeple dungeon pillar curtain carpet table cellar attic ceiling scandal
rumour riddle promise treasure penny ducat jewel ruby emerald sapphire crystal scarecrow beehive violet lily
poppy thistle bramble ivy willow cypress acorn walnut chestnut cherry melon lemon ginger pepper biscuit
pancake oyster herring lobster dolphin seagull mermaid rudder compass pennant lighthouse current zephyr comet
planet sunset eclipse twilight midnight summer winter autumn blizzard icicle puddle furrow haystack windmill
wagon axle tinder bonfire ember cinder torrent canyon valley fountain bucket pitcher blanket jacket doublet
slipper stocking bonnet buckle locket bracelet mantle sceptre prologue sonnet ballad chapter fable parchment
inkwell quarrel battle ambush trumpery bargain market auction ledger verdict warrant prison gallows hourglass
sundial almanac zodiac puzzle enigma""".split()
PLURALS_1 = """stars ships nights birds kings bells dreams waves swords winds clouds bees doves fools tears
roots thieves lamps trees crowns rooks drums shields flies hawks oars sails wolves snakes frogs jests oaths
vows tales songs games queens monks lords clerks spies ghosts saints elves imps witches moths larks owls swans
quails cranes toads eels crabs hounds mice lambs mares foals figs plums pears beans leeks loaves tarts pies
eggs jugs cups spoons knives forks nails ropes masts nets hooks coins debts gifts brides grooms twins
nuns""".split()
PLURALS_2 = """roses rivers candles soldiers sailors sisters brothers lovers beggars poets shadows feathers
arrows banners trumpets mountains meadows ravens sparrows eagles lions monkeys donkeys turnips onions puddings
kettles buttons ribbons letters secrets riddles rumours pennies ducats jewels rubies daggers cannons chimneys
barrels windows mirrors lanterns daisies lilies violets poppies thistles acorns cherries oysters herrings
mermaids planets comets breezes whispers echoes zephyrs quarrels neighbours strangers cousins bishops lawyers
doctors millers bakers weavers tinkers pirates outlaws horses foxes badgers hedgehogs kittens geese-herds
fiddlers""".split()
BODY = "heart soul hand tongue ear brain brow mind eye blood cheek foot arm spleen elbow".split()
STATES = """love truth time hope grief youth faith pride fear joy grace fate death sleep age hate scorn peace
guilt mirth wit doubt war woe fame greed rage want ease law luck zeal shame sloth wealth health strength spite
thrift haste praise duty folly glory wisdom envy mercy sorrow pity beauty virtue""".split()
STUFFS = """gold snow glass salt silk lead straw bread dust wine smoke frost ice wool milk ash silver-thread
moss brass clay cream wood chalk felt jet quartz tin pitch honey sugar velvet marble copper pearl mud steam
lace-work ink oatmeal butter treacle thunder moonlight""".split()
ADJECTIVES_1 = """sweet cold bright pale soft dark proud wild old fair warm deep sharp slow sad young kind
poor swift grey blind loud thin brave cruel rich strange bold stern dull plain blunt fresh rough mild rare
vain quick quaint vexed numb damp lean lank lithe live long lost low mad meek nice odd pert pied pink prim
proof ripe round sage sane scant sheer shrewd shy sick slack sleek slight sly small smooth snug sore sour
spare sparse spruce square staid stale stark steep stiff stout strong stray sure tall tame tart taut terse
thick tight trim true vast vile wan weak wet wide wise worn worst wroth wry hoarse hot huge keen dear dim dire
drab dry dumb dusk faint false fell fierce fine firm flat fond foul frail frank free full gaunt glad glum good
grand grave green grim gruff hale hard harsh high chaste chill choice clean clear close coarse cool coy crisp
cross crude curt daft bleak brash big""".split()
ADJECTIVES_2 = """silver golden gentle weary broken bitter hollow ancient lonely humble royal crimson idle
merry silent secret noble crooked hungry foolish tender wicked yellow honest purple frozen windy dusty easy
holy heavy wanton drowsy empty faithful patient rosy stubborn ugly narrow rusty jealous azure open solemn
careless dreadful wooden silken sullen subtle shallow dainty mossy thorny cheerful graceful hateful mortal
fickle giddy greedy lofty moonlit sunlit salty briny leafy verdant shady rugged warlike dauntless hidden early
evil iron ivory learned lawful courtly dapper lusty nimble oaken painted pretty quiet ragged rural sacred
shining sickly sober speckled stately stormy sturdy sudden trembling twisted vacant vulgar wretched youthful
zealous tattered tarnish'd crumpled dappled spotted freckled bearded crested feather'd horned footless
headless heartless sleepless restless ruthless thankless worthless priceless nameless shameless starless
sunless moonless boundless cloudless artful baleful bashful boastful doleful fearful fretful frightful gleeful
grateful mindful mournful needful playful rueful scornful skilful sinful tearful tuneful wilful wistful
wrathful angry bonny chilly cloudy creamy crispy dirty dizzy downy earthy fiery flimsy foggy frosty gaudy
gloomy gouty handsome haughty husky itchy jaunty jolly juicy leaky lanky misty mouldy muddy murky naughty nosy
oily perky pious placid pompous prickly puny rainy rowdy royal-blue saucy scanty shaggy shaky silly sleepy
slimy sloppy snowy sooty spicy squalid stingy surly thirsty tidy tiny toothless timid vivid wary watchful
wealthy wily witty woeful""".split()
VERBS_1 = """keep guard love hold find seek wake steal hide call fear hate break mend bind crown praise curse
bless mock scorn hunt chase haunt lose paint feed kiss touch taste hear watch judge rule serve lead tempt vex
wound heal warm cheat trust doubt teach learn read write wear weave spin sell buy lend bear burn drown drink
eat fold gild greet grind grant grieve help heed jolt knock know leave lift loathe meet move need owe pluck
pull push quench quell reach rend roast rouse sail scold send shake shame shun sing slay smell smite soothe
spare spoil spurn strike sway sweep tame taunt tell thank throw toss trace turn twist use veil wash weigh win
wish wrong yoke bake bathe beat blame boil bring brush build carve cast catch charm chide choose claim cleave
cook count crack crush cure dare deck deem dodge drag drop dye fetch fill fling forge free grasp grease grow
hang hoist hug hurl hush kick lash light load lock mark mar mask melt nurse nudge paste pelt pinch plait plan
plant please plough pour press prize prove prune rake rinse ring rob save scare scour scratch scrub seize
shave shear shoot singe slap slice snatch snub soak solve spell spill squeeze stain starve stir stitch stop
stroke suit swap tear tease test thrash track trade trail trick trim trounce urge waste whip wipe woo wreck
wrap wring""".split()
NO_ETH = {"know", "bear", "win", "buy", "spin", "drown"}
VERBS_IDLE = """weep sleep sing dance laugh sigh wait rest pray smile fight dream kneel swear blush limp yawn
fast tremble linger wander whistle stammer grumble shiver hurry tarry mutter quiver listen vanish""".split()
PARTICIPLES = """found kept lost sold hid bought bound burnt bless'd cursed sought caught crown'd drown'd
mock'd kiss'd praised scorn'd loved fear'd healed led fed wash'd wrapp'd blamed chased guess'd dropp'd pawn'd
nailed lent quench'd robb'd used brought built spilt burst cut shut split struck hung wrung spun stuck swept
taught tamed told tricked thank'd tried tied timed turn'd pluck'd pinch'd press'd plann'd rais'd reach'd read
ruled saved scared scour'd seized shaved signed smooth'd soothed spared spoil'd stain'd stirr'd stopp'd stored
watch'd weigh'd woo'd wreck'd""".split()
PREP_1 = "by in for with from on like near past".split()
PREP_2 = "beneath beside upon behind above before within without beyond against among".split()

TOPICS = {
    "sea": """
        sea wave ship boat shore oar sail gale whale storm crew anchor ocean harbour island tempest
        rudder compass seagull mermaid dolphin oyster herring lobster lighthouse current pirate sailor
        captain sailors pirates ships waves oars sails masts nets crabs eels oysters herrings mermaids
        briny salty windy stormy drown""",
    "garden": """
        rose tree bee flower leaf root seed weed thorn vine bower spade garden orchard apple blossom
        violet lily poppy thistle bramble cherry melon fountain beehive scarecrow roses daisies lilies
        violets poppies bees figs plums pears moths larks leafy verdant shady mossy thorny rosy pluck
        smell kiss dove""",
    "court": """
        crown king queen throne lord court gown ring prince page heir castle banner sceptre jewel ruby
        emerald curtain pillar kingdom treasure goblet herald crowns kings queens lords clerks spies
        jewels rubies royal golden stately courtly noble rule serve praise knight guest""",
    "war": """
        sword shield spear fort drum camp steed foe wound blade trumpet helmet dagger cannon battle
        ambush arrow bonfire soldier archer drummer swords shields drums soldiers banners trumpets
        cannons daggers arrows iron warlike dauntless bitter strike slay smite guard gate wall tower
        band""",
    "market": """
        cake pie pig egg goat ox purse stall shoe coat hen beer stew turnip onion pudding dumpling
        kettle basket barrel button penny ducat bargain market ledger ginger pepper biscuit pancake
        baker butcher tailor cobbler merchant miller turnips onions puddings kettles pennies pies tarts
        eggs leeks loaves jugs greedy hungry sell buy eat taste weigh roast""",
    "tower": """
        night moon star sky clock lamp book scroll sage bell shade comet planet eclipse twilight
        midnight zodiac hourglass almanac candle mirror parchment inkwell enigma raven shadow whisper
        scholar hermit stars nights ghosts owls dreams planets comets candles shadows whispers silent
        secret lonely ancient moonlit dream fear read write watch""",
}
PLACES = {
    "sea": [
        "the harbour wall",
        "a ship upon the main",
        "the windy beach",
        "a tavern by the quay",
    ],
    "garden": [
        "the orchard of the Queen",
        "a garden full of bees",
        "the bower of the rose",
        "a lawn at break of day",
    ],
    "court": [
        "the hall of Emberley",
        "the council of the Queen",
        "the gallery of kings",
        "a feast within the court",
    ],
    "war": [
        "the camp before the fight",
        "the broken city wall",
        "a field of trampled corn",
        "the bridge of Emberley",
    ],
    "market": [
        "the market of the town",
        "the baker's open door",
        "a kitchen full of smoke",
        "the crowded Goat and Bell",
    ],
    "tower": [
        "the tower of the stars",
        "the churchyard at midnight",
        "a library by night",
        "the stair above the clock",
    ],
}

# stage name | in speech | rank (2 royal, 1 gentle, 0 common) | he or she | house | humour | oath
PERSONS = """
CORVIN | Corvin | 1 | he | Vane | love | by day and night
XANTHE | Xanthe | 1 | she | Ember | love | by yonder moon
QUILLON | Quillon | 0 | he | none | love | by pen and ink
JESSAMY | Jessamy | 1 | she | Ember | jest | by cap and bell
VALERIN | Valerin | 1 | he | Ember | war | by Ember's gate
YSOLDE | Ysolde | 1 | she | Vane | grief | by all my tears
FENWICK | Fenwick | 0 | he | none | jest | by beans and bread
DUKE OF EMBERLEY | the Duke | 2 | he | Ember | war | by Ember's crown
QUEEN ISAURA | the Queen | 2 | she | Vane | grief | by throne and ring
TAMSIN | Tamsin | 0 | she | none | jest | by salt and smoke
ZEPHYRINE | Zephyrine | 1 | she | Vane | jest | by every wind
ULRIC | Ulric | 1 | he | Vane | war | by sword and shield
DAMARIS | Damaris | 1 | she | Ember | wise | by all the stars
AMBROSE | Ambrose | 1 | he | Vane | wise | upon my books
KESTREL | Kestrel | 0 | he | none | war | by spur and horn
WINIFRED | Winifred | 0 | she | none | grief | by candle-light
LUCIAN | Lucian | 1 | he | Ember | grief | by my lost youth
ROSALBA | Rosalba | 1 | she | Vane | love | by leaf and rose
PERKIN | Perkin | 0 | he | none | jest | by pot and pan
OLD BARNABY | old Barnaby | 0 | he | none | wise | by my grey beard
GOODY THRUSH | Goody Thrush | 0 | she | none | wise | by rue and rosemary
First Gardener | the old gardener | 0 | he | none | wise | by rake and hoe
Second Gardener | the young gardener | 0 | he | none | love | by bud and bee
Ferryman | the ferryman | 0 | he | none | grief | by tide and oar
First Watchman | the tall watchman | 0 | he | none | war | by lamp and pike
Second Watchman | the short watchman | 0 | he | none | jest | by bread and beer
Apothecary | the apothecary | 0 | he | none | grief | by dram and drop
"""

# ------------------------------------------------------------------------------------------ sentences

# One pattern per line: weight | pattern. [slots] are explained at `Play.entries`; / starts a new line.
# What a person talks about is drawn from COMMON and, by preference, from the own humour in HUMOURS.
COMMON = """
9 | [DX] [A2] [N1] [AUX3] [V1] [D] [A2] [N1][END]
6 | [DX] [A2] [P1] [AUXP] [V1] [D] [A2] [N1][END]
8 | [DX] [P1] [PREP2] [D] [N1] [AUXP] [V1] [D] [N1][END]
8 | I [AUX1] [NOT] [V1] [D] [A2] [N1] [FOR] [STATE][END]
42 | Here come [K], [K], [K], and [A2] [K][END]
42 | Come, [K] and [K]; come, [A2] [K] and [K][END]
42 | Is [K] with [K], is [K] with [A2] [K]?
42 | From [K] to [K], from [K] to [A2] [K][END]
42 | Not [K], not [K], not [K], but [A2] [K][END]
42 | [V1] [K] and [N1]; [V1] [A2] [K] and [N1][END]
60 | [V1] [D] [A1] [N1] and [V1] [D] [A2] [N1][END]
80 | [V1] [N1] and [N1]; [V1] [A2] [N1] and [N1][END]
60 | [V1] or [V1], [V1] or [V1] [D] [A2] [N1][END]
60 | With [N1] [AND] [N1], with [A1] [AND] [A2] [N1][END]
60 | For [N1] [AND] [N1], for [A2] [N1] [AND] [A1] [N1][END]
60 | [OFT] [A1] [N1] and [A2] [P1] [V1] [D] [N1][END]
60 | As [A2] [P1] [V1] [A1] [P1], so [P1] [V1] [P1][END]
60 | No [N1], no [N1], no [A2] [N1] [AUX3] [V1] [D] [N1][END]
60 | Here [V1] [D] [A1] [N1]; there [V1] [D] [A2] [N1][END]
7 | I [AUX1] [V1] [D] [N1] and [V1] [D] [A2] [N1][END]
7 | [thou] [AUX2] [NOT] [V1] [D] [A2] [N1] [FOR] [STATE][END]
7 | [thou] [V1st] [D] [N1], and [thou] [AUX2] [V1] [D] [N1][END]
6 | [thou] [art] [A] [A2] [N1], [A] [N2s] [N1][END]
5 | [thou] [art] as [A1] as [STUFF], as [A1] as [STUFF][END]
8 | When [A2] [P1] [AUXP] [V1] [D] [A2] [N1],/[D] [N1] of [STUFF] [AUX3] [V1] [MY] [A2] [R][END]
8 | [DX] [A2] [N1] [AUX3] [V1] [D] [A2] [N1],/And [STATE] [AUX3] [V1] [D] [N1] [PREP2] [D] [R][END]
5 | There is [A] [N1] [PREP2] [D] [A2] [N1][END]
5 | There stands [A] [N1] where [A2] [P1] [AUXP] [IDLE][END]
5 | Go, bid [D] [PERSON] [V1] [D] [A2] [N1][END]
5 | Go tell [D] [PERSON] that [D] [N1] [IS] [PP][END]
5 | They say [D] [PERSON] [V1s] [D] [A2] [N1][END]
6 | I hear that [OTHER] hath [PP] [D] [A2] [N1][END]
5 | I have not [PP] [D] [A2] [N1] of [STUFF][END]
4 | And yet [D] [N1] [AUX3] [V1] [D] [A2] [N1][END]
4 | [DX] [N1] [IS] [PP], [D] [A2] [N1] [IS] [PP][END]
4 | [DX] [P1] [ARE] [PP], [DP] [A2] [P1] [ARE] [PP][END]
4 | If [STATE] be [A1], then let [D] [N1] be [A1][END]
5 | Attend me, [VOC]: [D] [N1] [AUX3] [V1] [D] [N1][END]
5 | I tell [thee], [VOC], [D] [N1] [IS] like [D] [N1][END]
5 | [OATH], I [V1] [D] [A2] [N1][END]
3 | [OATH], [thou] [AUX2] [V1] [D] [N1] of [STUFF][END]
4 | Shall [A2] [P1] [V1] what [A2] [P1] have [PP]?
"""
HUMOURS = {
    "love": """
9 | O [A2] [N1], thou art [A] [A2] [N1][END]
9 | O [V1] [MY] [BODY], and by [D] [A2] [N1],/I'll [V1] [thee] like [D] [N1] [PREP2] [D] [R][END]
9 | [DX] [BODY] [AUX3] [V1] [MY] [BODY] as [P1] the [N1][END]
7 | I bear a heart as [A1] as [A2] [STUFF][END]
7 | More [A2] than [D] [N2] [PREP] [D] [N1],/Is [heshe] that [V1s] [D] [N1] [PREP2] [D] [R][END]
6 | What [N1] is this that [V1s] [MY] [A2] [N1]?
""",
    "jest": """
9 | I'd rather be [A] [N2] than [A] [PERSON][END]
9 | Why, [VOC], [D] [N2] hath [A] [N2] [PREP] [THY] [N1][END]
9 | If [P1] were [P2], [P2] might be [P1][END]
7 | No [A2] [N1] can [V1] [A] [PERSONs] [N1][END]
7 | One [N2] met [A] [PERSON] by [D] [N1],/And [V1eth] still [D] [A2] [R][END]
6 | [DX] [N2] is [A] [N2] [PREP] [D] [N1][END]
""",
    "grief": """
9 | Farewell, [D] [N1]; farewell, [D] [A2] [N1][END]
9 | Alas, [D] [N1] is [PP], and [pp] for [STATE][END]
8 | I [IDLE] for [STATE], and all [MY] [P1] are [PP][END]
7 | Was ever [N1] so [PP] by [A2] [N1]?
7 | No more [D] [PERSON] [V1eth] [D] [N1],/Nor [STATE] nor [STATE] shall [V1] [THY] [R][END]
6 | [DX] [BODY] is [PP], and like [A] [N2] [IDLEs][END]
""",
    "war": """
9 | To arms! [D] [N1] of [STUFF] [AUX3] [V1] [D] [N1][END]
9 | Now [A2] [P2] [V1] [D] [A2] [N1][END]
8 | Sound, [N1] and [N1]; [D] [PERSON] shall not [IDLE][END]
7 | Let [N1] and [N1] go [V1] [D] [A2] [N1][END]
7 | Lo, how [P2] [V1] [D] [N1] and [V1] [D] [N1],/And [A2] [P1] shall [IDLE] before [D] [R][END]
6 | Who now shall [V1] [D] [A2] [N1] of [STUFF]?
""",
    "wise": """
9 | 'Tis [A2] [STATE] that [V1s] [D] [A2] [N1][END]
9 | He that [V1eth] [D] [N1] [AUX3] [V1] [D] [N1][END]
8 | So [V1s] [D] [N1], so [V1s] [D] [A2] [N1][END]
8 | Who [V1eth] not [D] [N1] shall [V1] [D] [N1][END]
7 | For [STATE] is but [A] [PERSON] [PREP] [A] [N1],/And [STATE] [A] [A2] [N1] that [V1s] [D] [R][END]
6 | I was [A] [PERSON] ere thou wast [A] [PERSON][END]
""",
}
# Questions end a speech; the answer, which begins the next speech, takes up their words. Small letters in brackets:
# the word that was said before.
QUESTIONS = {
    "where": "10 | But where is now [MY] [A2] [N1], [VOC]?",
    "who": "10 | Say, who hath [PP] [D] [A2] [N1] of [STUFF]?",
    "whether": "10 | And [dost] [thou] [V1] [D] [A2] [N1], [VOC]?",
    "why": "10 | Why [dost] [thou] [IDLE], [VOC], [PREP2] [D] [N1]?",
    "what": "10 | But what is [STATE], [VOC], to [A] [PERSON]?",
}
ANSWERS = {
    "where": """
8 | The [n1] is hid [PREP2] [D] [A2] [N1][END]
6 | I saw the [n1] [PREP2] [D] [PERSONs] [N1][END]
5 | Go ask [D] [PERSON] for the [n1], not me[END]
4 | No [PERSON] hath [PP] the [n1] of [STUFF][END]
""",
    "who": """
8 | 'Twas [OTHER] that hath [pp] it [PREP2] [D] [N1][END]
5 | Ask [OTHER], for [otherhe] [pp] the [n1] by [D] [N1][END]
5 | It was not I that [pp] the [n1] of [stuff][END]
""",
    "whether": """
8 | Ay, [VOC], I [v1] the [n1], and [V1] [D] [N1][END]
8 | Nay, [VOC], I [v1] no [n1], but [V1] [D] [N1][END]
4 | I'd [v1] the [n1], if [D] [PERSON] had [PP] it[END]
""",
    "why": """
9 | I [idle] because [D] [N1] hath [PP] [MY] [N1][END]
6 | I do not [idle], [VOC]; 'tis but [A] [A2] [N1][END]
""",
    "what": """
8 | Why, [state] is but [A] [A2] [N1] of [STUFF][END]
6 | And what is [state]? [A] [N1] that [V1s] [D] [N1][END]
5 | To me [state] is [A] [N2] [PREP] [D] [N1][END]
""",
}
NAMING = """
5 | [NAMED], [TAIL][END]
2 | One word alone, [NAMED][END]
2 | What news have we of [STATE], [NAMED]?
"""
CHORUS = """
5 | Now turn your eyes, and look upon [PLACE],/Where [CAST] and [CAST] [MEET],/And [CAST] [COME][END]
5 | Behold, good friends, before you is [PLACE],/Where [CAST] and [CAST] [MEET],/And [CAST] [COME][END]
5 | Our scene is changed, and here you find [PLACE],/Where [CAST] and [CAST] [MEET],/And [CAST] [COME][END]
5 | Imagine, gentle hearers, if you will, [PLACE],/Where [CAST] and [CAST] [MEET],/And [CAST] [COME][END]
5 | Upon [A] [A2] [MORNING], look upon [PLACE],/Where [CAST] and [CAST] [MEET],/And [CAST] and [CAST] [COMES][END]
5 | Not far from here there lies [PLACE],/Where [CAST], [CAST] and [CAST] [MEET],/And [CAST] and [CAST] [COMES][END]
"""
CHORUS_MORE = """
5 | [D] [A2] [N1] [AUX3] [V1] [D] [A2] [N1],/And [STATE] [AUX3] [V1] [D] [N1] [PREP2] [D] [R].
4 | There [STATE] and [STATE] [AUXP] [V1] [D] [A2] [N1].
4 | Be patient, for [D] [PERSON] [V1s] [D] [N1].
3 | Hark how [D] [N1] [AUX3] [V1] [D] [A2] [N1].
"""
EPILOGUE = """
Our play is done, and every word is said,
The kings may doff their crowns and go to bed;
And you who watched us, reader or machine,
Now guess the letter that was next unseen.
"""

# ---------------------------------------------------------------------------------------------- tables


def _is_word(character):
    return character.isalpha() or character in "'-"


def _check_joint(before, after):
    """Condition (2) of the module's docstring."""
    if _is_word(before) and _is_word(after):
        raise ValueError(f"a word would go on after its end: {before!r} + {after!r}")


class Table:
    """One choice: texts with their weights, and a note each that tells the play what was chosen."""

    def __init__(self, options):
        """options: list of (text, weight, note); weights are positive integers."""
        self.texts = [text for text, _, _ in options]
        self.notes = [note for _, _, note in options]
        self.cumulative = list(accumulate(weight for _, weight, _ in options))
        self.total = self.cumulative[-1]
        self.costs = [-math.log(weight / self.total) for _, weight, _ in options]  # nats
        self.index = {text: i for i, text in enumerate(self.texts)}
        self.lengths = sorted({len(text) for text in self.texts}, reverse=True)
        self.offset = len(os.path.commonprefix(self.texts)) if len(options) > 1 else 0  # noqa: RUF071  (characters)
        self._check(options)

    def _check(self, options):
        """Condition (1) of the module's docstring."""
        if len(self.index) != len(options):
            twice = sorted({text for text in self.texts if self.texts.count(text) > 1})
            raise ValueError(f"ambiguous: twice in one table: {twice}")
        if any(weight < 1 for _, weight, _ in options) or "" in self.index:
            raise ValueError("a choice needs a text and a positive weight")
        for text in self.texts:
            for end in range(1, len(text)):
                if text[:end] in self.index and not (_is_word(text[end - 1]) and _is_word(text[end])):
                    raise ValueError(f"ambiguous: {text[:end]!r} and {text!r}")


class Writer:
    """The hand that writes: chooses at random."""

    def __init__(self, seed):
        self.random = random.Random(seed).random
        self.parts, self.length, self.last = [], 0, "\n"
        self.choices = []  # (position of the first character that the choice decides, cost in nats)

    def say(self, text):
        """Write text that is not free."""
        _check_joint(self.last, text[0])
        self.parts.append(text)
        self.length += len(text)
        self.last = text[-1]

    def choose(self, table):
        """Write one of the table's texts; returns its note."""
        # random() has 53 bits and the totals stay below 2**33, so each chance is right to 1 part in 2**20 for the
        # rarest text and to far more for the others.
        i = bisect_right(table.cumulative, int(self.random() * table.total))
        self.choices.append((self.length + table.offset, table.costs[i]))
        self.say(table.texts[i])
        return table.notes[i]

    def end(self):
        pass


class Reader:
    """The hand that reads: finds out what was chosen."""

    def __init__(self, text):
        self.text, self.length, self.last = text, 0, "\n"
        self.choices = []

    def say(self, text):
        _check_joint(self.last, text[0])
        if not self.text.startswith(text, self.length):
            raise self._refusal(f"expected {text!r}")
        self.length += len(text)
        self.last = text[-1]

    def choose(self, table):
        for length in table.lengths:
            end = self.length + length
            found = self.text[self.length : end]
            i = table.index.get(found)
            if i is None or (_is_word(found[-1]) and _is_word(self.text[end : end + 1] or " ")):
                continue
            self.choices.append((self.length + table.offset, table.costs[i]))
            self.say(table.texts[i])
            return table.notes[i]
        raise self._refusal(f"none of {len(table.texts)} possible texts, such as {table.texts[0]!r}")

    def end(self):
        if self.length != len(self.text):
            raise self._refusal("expected the end")

    def _refusal(self, why):
        line = self.text.count("\n", 0, self.length) + 1
        found = self.text[self.length : self.length + 20]
        return ValueError(f"not a play of this grammar: line {line}, character {self.length}: {why}, found {found!r}")


# -------------------------------------------------------------------------------------------- patterns


class Node:
    """A place in the tree of patterns: patterns that begin alike share their beginning, so that what differs is
    chosen where the text differs."""

    def __init__(self):
        self.children = {}  # token -> [weight, Node]
        self.at_line_start = self.capital = True
        self._shares = None
        self.label = None  # where a pattern ends: what kind it was, if that matters

    def add(self, tokens, weight, label=None):
        node = self
        for token in tokens:
            entry = node.children.setdefault(token, [0, Node()])
            entry[0] += weight
            node = entry[1]
            node.at_line_start = token == "/"
            node.capital = token in ("/", "!", "?", ".")
        node.label = label

    def shares(self):
        """((token, share), ...) of the children; a share has no common factor with all the others."""
        if self._shares is None:
            common = math.gcd(*(weight for weight, _ in self.children.values()))
            self._shares = tuple((token, weight // common) for token, (weight, _) in self.children.items())
        return self._shares

    def signature(self):
        """Nodes with the same signature share their tables."""
        return self.at_line_start, self.capital, self.shares()


def _patterns(text):
    """[(weight, tokens)] of a block of patterns."""
    found = []
    for line in text.strip().splitlines():
        weight, pattern = line.split(" | ")
        found.append((int(weight), re.findall(r"\[\w+\]|[A-Za-z'-]+|[,;:.!?]|/", pattern)))
    return found


END_OF_SPEECH = "\n"


@cache
def _tree(stage, humour):
    """The tree for one moment of a speech.

    stage: "open" (a scene's first speech must name somebody), "start", "body" (a line must come), "more1".."more4"
    (so many patterns were said, the speech may end), "chorus", "chorus-more", or a kind of question to answer.
    """
    root = Node()
    if stage in ANSWERS:
        blocks = [(ANSWERS[stage], 1, None)]
    elif stage == "chorus":
        blocks = [(CHORUS, 1, None)]
    elif stage == "chorus-more":
        blocks = [(CHORUS_MORE, 1, None)]
    elif stage == "open":
        blocks = [(NAMING, 1, "named")]
    else:
        blocks = [(COMMON, 10, None)]
        blocks += [(block, 26 if name == humour else 2, None) for name, block in HUMOURS.items()]
        if stage == "start":
            blocks.append((NAMING, 100, "named"))
        if stage.startswith("more"):
            n = int(stage[4:])
            root.add([END_OF_SPEECH], (600, 2000, 3500, 5000)[n - 1], "end")
            blocks += [(question, (24, 20, 14, 10)[n - 1], kind) for kind, question in QUESTIONS.items()]
    for block, factor, label in blocks:
        for weight, tokens in _patterns(block):
            root.add(tokens, weight * factor, label)
    return root


# ------------------------------------------------------------------------------------------ vocabulary


def _zipf(words, offset=25):
    """[(word, weight)]: the weight falls with the rank, as in real texts."""
    words = list(dict.fromkeys(words))
    return [(word, 1_000_000 // (rank + offset)) for rank, word in enumerate(words)]


def _s(verb):
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z")) else "s")


def _eth(verb):
    return verb.removesuffix("e") + "eth"


def _st(verb):
    return verb.removesuffix("e") + ("est" if verb.endswith(("s", "sh", "ch", "ce", "se", "ge")) else "'st")


def _starts_with_vowel(word):
    return word[0] in "aeiou" or word.startswith(("hour", "heir", "honest"))  # silent h


GROUPS = [line.split() for line in RHYMES.strip().splitlines()]
RHYMES_WITH = {word: [other for other in group if other != word] for group in GROUPS for word in group}
# The first words of all groups, then the second ones, ...: every rhyme has common and rare words.
NOUNS_1 = [group[i] for i in range(max(map(len, GROUPS))) for group in GROUPS if i < len(group)]
TOPIC_WORDS = {topic: set(words.split()) for topic, words in TOPICS.items()}
# "Robbeth" would double its last letter: such verbs are left out, and so are the words that sound wrong.
NO_DOUBLING = [verb for verb in VERBS_1 if verb not in NO_ETH and not re.search("[^aeiou][aeiou][bdglmnpt]$", verb)]

# Small folk, soldiers and hamlets have one-syllable names that are made, not listed: Tob, Quist, Nald, Grosk.
STARTS = "B Bl Br C Cl Cr D Dr F Fl Fr G Gl Gr H J K L M N P Pl Qu R S Sk Sn St T Th Tr V W Y Z".split()
ENDS = "b bb d dge ff ld lf lk ll lm lp lt mb mp n nd ng nt rb rd rf rk rm rn rp rt sk sp st x".split()
# Words that would jar.
NOT_NAMES = "Tard Turd Fart Cunt Kunt Hell Sex Dix Pimp Hump Gimp Mong Dong Wang Sod Fud Trull".split()
NAMES = [a + b + c for c in ENDS for a in STARTS for b in "aeiou" if a + b + c not in NOT_NAMES]

LISTS = {
    "K": _zipf(NAMES, 4000),
    "N1": _zipf(NOUNS_1, 100),
    "N2": _zipf(THINGS, 70),
    "N2s": _zipf([word + "'s" for word in THINGS if word[-1] != "s"], 70),
    "PERSON": _zipf(PEOPLE),
    "PERSONs": _zipf([word + "'s" for word in PEOPLE]),
    "P1": _zipf(PLURALS_1),
    "P2": _zipf(PLURALS_2),
    "BODY": _zipf(BODY),
    "STATE": _zipf(STATES),
    "STUFF": _zipf(STUFFS),
    "A1": _zipf(ADJECTIVES_1),
    "A2": _zipf(ADJECTIVES_2, 70),
    "V1": _zipf(VERBS_1, 70),
    "V1s": _zipf([_s(verb) for verb in VERBS_1], 70),
    "V1eth": _zipf([_eth(verb) for verb in NO_DOUBLING], 70),
    "IDLE": _zipf(VERBS_IDLE),
    "IDLEs": _zipf([_s(verb) for verb in VERBS_IDLE]),
    "PP": _zipf(PARTICIPLES),
    "PREP": _zipf(PREP_1, 2),
    "FOR": _zipf("for in with from through by".split(), 2),
    "PREP2": _zipf(PREP_2, 3),
    "END": [(".", 70), (";", 14), ("!", 16)],
    "AUX3": _zipf("doth shall will must may did would can should might".split(), 3),
    "AUXP": _zipf("do shall will must may did would can should might".split(), 3),
    "AUX1": _zipf("do will shall must may did would can should might".split(), 3),
    "AND": _zipf("and or".split(), 2),
    "NOT": _zipf("not now still yet soon here but".split(), 2),
    "IS": _zipf("is was seems looks stands lies".split(), 2),
    "ARE": _zipf("are were seem look stand lie".split(), 2),
    "OFT": _zipf("oft yet thus then soon still once".split(), 3),
    "heshe": [("she", 1), ("he", 1)],
    "TAIL": _zipf(["hear me", "a word with you", "stand close", "be not so grave", "look there", "what now",
                   "make haste", "give me your hand", "be still", "speak softly", "welcome", "forgive me",
                   "take heed"], 4),
    "MEET": _zipf(["are met", "hold talk", "lie hid", "must part", "walk by", "make peace", "shake hands"], 3),
    "COME": _zipf(["comes in", "stands by", "looks on", "waits near", "makes haste", "sits down", "falls sick"], 3),
    "COMES": _zipf(["come in", "stand by", "look on", "wait near", "make haste", "sit down", "fall sick"], 3),
    "MORNING": _zipf(["morning", "evening", "midnight", "Monday", "sabbath", "feast-day", "Friday"], 2),
}  # fmt: skip
TOPICAL = {"N1", "N2", "P1", "P2", "A2", "V1", "PERSON"}  # these lists take on the colour of the place
# thou-form, you-form
FORMS = {
    "thou": ("thou", "you"),
    "thee": ("thee", "you"),
    "art": ("art", "are"),
    "dost": ("dost", "do"),
}
AUX2 = [("wilt", "will"), ("shalt", "shall"), ("dost", "do"), ("must", "must"), ("canst", "can"), ("mayst", "may"),
        ("didst", "did"), ("wouldst", "would"), ("shouldst", "should")]  # fmt: skip
# Determiners: word, weight, what must follow (a sound: "vowel" or "consonant"; a number), which form of address.
# "my" and "mine", "thy" and "thine", "a" and "an" go by the first sound of the next word.
DETERMINERS = [
    ("the", 22, None, "any", "both"),
    ("my", 11, "consonant", "any", "both"),
    ("mine", 2, "vowel", "any", "both"),
    ("thy", 10, "consonant", "any", "thou"),
    ("thine", 2, "vowel", "any", "thou"),
    ("your", 12, None, "any", "you"),
    ("this", 6, None, "one", "both"),
    ("that", 4, None, "one", "both"),
    ("a", 10, "consonant", "one", "both"),
    ("an", 2, "vowel", "one", "both"),
    ("each", 4, None, "one", "both"),
    ("no", 4, None, "one", "both"),
    ("his", 7, None, "any", "both"),
    ("her", 7, None, "any", "both"),
    ("our", 6, None, "any", "both"),
    ("their", 5, None, "any", "both"),
    ("some", 4, None, "any", "both"),
    ("these", 7, None, "many", "both"),
    ("those", 4, None, "many", "both"),
    ("all", 3, None, "many", "both"),
]
DETERMINER_SLOTS = {
    "D": lambda word, number: number != "many" and word != "all",
    "DP": lambda word, number: number != "one",
    "DX": lambda word, number: word != "no",
    "A": lambda word, number: word in ("a", "an"),
    "MY": lambda word, number: word in ("my", "mine"),
    "THY": lambda word, number: word in ("thy", "thine", "your"),
}
ONE = {"N1", "N2", "N2s", "PERSON", "PERSONs", "BODY"}
MANY = {"P1", "P2"}
REMEMBERED = {"N1": "n1", "PP": "pp", "V1": "v1", "IDLE": "idle", "STATE": "state", "STUFF": "stuff", "END": "end"}


class Person:
    def __init__(self, line):
        self.stage, self.name, rank, self.he, self.house, self.humour, self.oath = line.split(" | ")
        self.rank = int(rank)

    def says_thou_to(self, other):
        """Thou goes down the ranks, and among kin and common people; you goes up, and between the houses."""
        if self.rank != other.rank:
            return self.rank > other.rank
        return self.rank == 0 or self.house == other.house

    def named(self, other):
        """How this person calls the other one by name: [(text, weight)]."""
        if other.rank == 2:
            name = "Duke" if other.he == "he" else "Queen"
            return [(f"most gracious {name}", 3), (f"great {name}", 2), (f"dread {name}", 1)]
        if other.rank > self.rank:
            title = "lord" if other.he == "he" else "lady"
            return [(f"good my {title} {other.name}", 3), (f"kind my {title} {other.name}", 1)]
        name = other.name.removeprefix("the ")
        words = ("sweet", "gentle", "noble", "dearest") if other.rank else ("good", "honest", "poor", "merry")
        return [(f"{word} {name}", 4 - i) for i, word in enumerate(words)]

    def calls(self, other):
        """How this person calls the other one, in the middle of a line: [(text, weight)]."""
        he = other.he == "he"
        if other.rank == 2:
            return [("my liege", 3), ("my lord" if he else "madam", 3), ("your grace", 2)]
        if other.rank > self.rank:
            return [("my lord" if he else "my lady", 4), ("sir" if he else "madam", 3)]
        name = other.name.removeprefix("the ")
        near = "cousin" if other.rank and other.house == self.house else "neighbour" if not other.rank else "friend"
        kind = "sweet" if other.rank else "good"
        return [(name, 4), (f"{kind} {name}", 3), (near, 3), ("sir" if he else "mistress", 1)]


PEOPLE_OF_THE_PLAY = [Person(line) for line in PERSONS.strip().splitlines()]


# ------------------------------------------------------------------------------------------------ play


class Play:
    """The grammar. `hand` is a Writer or a Reader; all that is remembered here can be told from the text so far."""

    def __init__(self, hand):
        self.hand = hand
        self.tables = {}
        self.topic, self.cast = None, []
        self.speaker = self.addressed = self.other = None
        self.sound, self.number = None, "any"  # what the last determiner asks of the words that follow
        self.words = {}  # the last word of each kind in REMEMBERED
        self.question = None

    def run(self):
        self.hand.say("CHORUS")
        while True:
            self.scene()
            if self.hand.length >= LENGTH:
                break
        self.hand.say(":" + EPILOGUE)
        self.hand.end()

    def scene(self):
        """From behind one "CHORUS" to behind the next."""
        self.speaker = self.addressed = self.other = None
        self.cast = []
        self.hand.say(":\n")
        self.line("chorus")
        self.line("chorus-more")
        self.hand.say("\n")
        before, spoken_to, speeches = None, None, 0
        while True:
            options = [(who.stage, 8 if who is spoken_to else 2, who) for who in self.cast if who is not before]
            may_end = speeches >= 6 and not self.question
            if may_end:
                options.append(("CHORUS", 1, None))
            who = self.choose(("speaker", before, spoken_to, may_end, *self.cast), lambda: options)  # noqa: B023
            if who is None:
                return
            self.hand.say(":\n")
            self.speaker, self.addressed = who, before
            self.speech(first=before is None)
            before, spoken_to = who, self.addressed
            speeches += 1

    def speech(self, first):
        answer, self.question = self.question, None
        if self.line("open" if first else answer or "start") == "named":
            self.line("body")
        for said in range(1, 1_000_000):
            going_on = self.words["end"] == ";"  # in the middle of a sentence
            kind = self.line("body" if going_on else f"more{min(said, 4)}")
            if kind == "end":
                return
            if kind in QUESTIONS:
                self.question = kind
                self.hand.say("\n")
                return

    def line(self, stage):
        """Write one pattern, which is a line or two; returns its label."""
        node = _tree(stage, self.speaker.humour if self.speaker else None)
        self.words["end"] = None
        while node.children:
            key = (node.signature(), *map(self.depends, node.children))
            token, word = self.choose(key, lambda: self.options(node))  # noqa: B023
            self.remember(token, word)
            node = node.children[token][1]
        if node.label != "end":
            self.hand.say("\n")
        return node.label

    def choose(self, key, options):
        """Choose from the table called `key`, which is made from `options()` the first time."""
        if key not in self.tables:
            self.tables[key] = Table(options())
        table = self.tables[key]
        if len(table.texts) == 1:  # no choice
            self.hand.say(table.texts[0])
            return table.notes[0]
        return self.hand.choose(table)

    def options(self, node):
        """[(text, weight, note)] of all that can follow here: the words of every slot and the plain words."""
        found = []
        for token, share in node.shares():
            entries = self.entries(token)
            total = sum(weight for _, weight in entries)
            for word, weight in entries:
                plain = node.at_line_start or token in ",;:.!?/\n[END]"
                text = word[0].upper() + word[1:] if node.capital else word
                text = text if plain else " " + text
                found.append((text, max(1, share * 1_000_000 * weight // total), (token, word)))
        return found

    @property
    def form(self):
        return "thou" if self.addressed and self.speaker.says_thou_to(self.addressed) else "you"

    def depends(self, token):
        """All that `entries(token)` depends on."""
        slot = token[1:-1]
        if token[0] != "[":
            return None
        if slot in LISTS:
            return self.topic if slot in TOPICAL else None, self.sound, self.number, slot == "TAIL" and self.form
        if slot == "R":
            return self.words.get("n1"), self.sound
        if slot in ("VOC", "OATH", "otherhe"):
            return self.speaker, slot == "VOC" and self.addressed, slot == "otherhe" and self.other
        if slot in ("NAMED", "OTHER", "CAST"):
            return self.speaker, slot == "OTHER" and self.addressed, *self.cast
        if slot.islower() and slot not in FORMS:
            return self.words.get(slot)
        return self.form

    def entries(self, token):
        """[(word, weight)] for one slot, or for a plain word."""
        slot = token[1:-1]
        if token[0] != "[":
            return [("\n" if token == "/" else token, 1)]
        if slot in LISTS:
            return self.listed(slot)
        if slot == "R":  # rhymes with the last noun
            rhymes = _zipf(RHYMES_WITH.get(self.words["n1"], ()))
            return self.sounding(rhymes) or self.listed("N1")
        if slot in DETERMINER_SLOTS:
            fits = DETERMINER_SLOTS[slot]
            return [(w, n) for w, n, _, many, form in DETERMINERS if fits(w, many) and form in ("both", self.form)]
        if slot in FORMS:
            return [(FORMS[slot][self.form == "you"], 1)]
        if slot == "AUX2":
            return _zipf([pair[self.form == "you"] for pair in AUX2], 3)
        if slot == "V1st":
            return _zipf([_st(verb) if self.form == "thou" else verb for verb in VERBS_1], 70)
        if slot == "VOC":
            return self.speaker.calls(self.addressed)
        if slot == "NAMED":
            others = [who for who in self.cast if who is not self.speaker]
            return [pair for who in others for pair in self.speaker.named(who)]
        if slot == "OATH":
            return [(who.oath, 60 if who is self.speaker else 1) for who in PEOPLE_OF_THE_PLAY]
        if slot == "OTHER":
            others = [who for who in PEOPLE_OF_THE_PLAY if who not in (self.speaker, self.addressed)]
            return [(who.name, 12 if who in self.cast else 1) for who in others]
        if slot == "otherhe":
            return [(self.other.he, 1)]
        if slot == "CAST":
            others = [(who, 60 // (rank + 3)) for rank, who in enumerate(PEOPLE_OF_THE_PLAY)]
            return [(who.name, weight) for who, weight in others if who not in self.cast]
        if slot == "PLACE":
            return [(place, 1) for places in PLACES.values() for place in places]
        return [(self.words[slot], 1)]  # n1, pp, v1, ...: the word that was said

    def listed(self, slot):
        if slot in (ONE if self.number == "many" else MANY if self.number == "one" else ()):
            return []
        words = LISTS[slot]
        if slot in TOPICAL and self.topic:
            words = [(word, weight * (3 if word in TOPIC_WORDS[self.topic] else 1)) for word, weight in words]
        if slot == "TAIL" and self.form == "thou":
            words = [(word.replace("your", "thy").replace("you", "thee"), weight) for word, weight in words]
        return self.sounding(words)

    def sounding(self, words):
        """Only the words that may follow the last determiner ("an" asks for a vowel)."""
        if self.sound is None:
            return words
        return [(word, weight) for word, weight in words if _starts_with_vowel(word) == (self.sound == "vowel")]

    def remember(self, token, word):
        slot = token[1:-1] if token[0] == "[" else None
        self.sound = None
        if slot in DETERMINER_SLOTS:
            self.sound, self.number = DETERMINER_MEANS[word]
        elif slot in ONE or slot in MANY or slot == "R":
            self.number = "any"
        if slot in REMEMBERED:
            self.words[REMEMBERED[slot]] = word
        elif slot == "PLACE":
            self.topic = TOPIC_OF[word]
        elif slot in ("CAST", "OTHER", "NAMED"):
            who = self.who(slot, word)
            if slot == "CAST":
                self.cast = [*self.cast, who]
            elif slot == "OTHER":
                self.other = who
            else:
                self.addressed = who

    def who(self, slot, word):
        if slot == "NAMED":
            return next(w for w in self.cast if w is not self.speaker and word in dict(self.speaker.named(w)))
        return next(who for who in PEOPLE_OF_THE_PLAY if who.name == word)


DETERMINER_MEANS = {word: (sound, number) for word, _, sound, number, _ in DETERMINERS}
TOPIC_OF = {place: topic for topic, places in PLACES.items() for place in places}


# -------------------------------------------------------------------------------------------- commands


def write_play(seed=SEED):
    """(text, choices): the play, and (position, cost in nats) of each choice that made it."""
    hand = Writer(seed)
    Play(hand).run()
    return "".join(hand.parts), hand.choices


def read_play(text):
    """The choices that wrote `text`, as in `write_play`, recovered from the text alone.

    Raises ValueError with the line and what was expected there if the grammar cannot have written the text.
    """
    hand = Reader(text)
    Play(hand).run()
    return hand.choices


def entropy(choices, start, end):
    """Nats per character of the part text[start:end]: the choices that it decides, divided by its length."""
    return math.fsum(cost for position, cost in choices if start <= position < end) / (end - start)


def validation_floor(text, choices):
    """Nats per character of the validation part."""
    from helpers import data

    train, validation = data.split(text)
    return entropy(choices, len(train), len(train) + len(validation))


def main(argv=()):
    """Write data/sample_play.txt, in one step, and say how large it is and where its floor lies."""
    text, choices = write_play()
    handle, part = tempfile.mkstemp(dir=TARGET.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("ascii"))
        os.chmod(part, 0o644)
        os.replace(part, TARGET)
    finally:
        if os.path.exists(part):
            os.unlink(part)
    print(f"Wrote data/{TARGET.name}: {len(text):,} characters, {len(set(text))} different ones.")
    print(f"Floor of the validation part: {validation_floor(text, choices):.4f} nats per character.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
