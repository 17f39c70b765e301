

# Texts in which src/score/tokenize must find the words that Stanford's tokenizer finds.
ODD_TEXTS = [
    "The upper clothing has long sleeves, cotton fabric and solid color patterns. It is v-shape.",
    "a model wearing a short - sleeve t - shirt with a crew - neckline.",
    "She wears a T-shirt (v-neck); it isn't hers, it's the girls' one: 3/4 sleeves!",
    "black/white/red and/or t-shirt/jeans w/o belt, 50% off at $20.50 or $5",
    "I can't, won't, don't; they'll, we've, he'd, I'm cannot gonna wanna gotta",
    "Mr. Smith vs. Dr. No at 5 p.m. in the U.S. army etc. No. 5 e.g. this",
    "he said \"hello\" and 'good bye', then \u201cleft\u201d \u2018early\u2019 \u2014 isn\u2019t it\u2026",
    "a 5 7/8 inch heel, 1,000 steps, 10:30 on 12/25/2019, 2-3 people, -5 degrees, 1990s",
    "[sic] {braces} <b>bold</b> a < b > c & d &amp; e * f ** g = h + i ~ j | k ^ l \\ m",
    "fine.The dog runs..and the cat...sits. what?! no!! yes? u.s.-made off-the-shoulder",
    "caf\u00e9 na\u00efve d\u00e9j\u00e0-vu \u65e5\u672c\u8a9e \u043f\u0440\u0438\u0432\u0435\u0442 \U0001f389 \u00bd cup \u00a35 \u20ac5 10\u00b0",
    "rock'n'roll o'clock y'all 'tis d'or l'amour '90s 'em 50's mother-in-law's",
    "www.example.com or me@example.com, see http://example.com/a?b=c. #tag @user a_b",
    ":) a smile --- dash -- dash - dash word--word 6'2\" 36\" x 24\" c++ ph.d. co.",
    "tab\tand  double space   and\u00a0no-break space",
]

WORDS = (
    "the a lady woman female person wears is wearing with has and of it shirt sweater pants trousers skirt dress "
    "short long sleeve sleeves sleeveless medium cotton denim chiffon leather fabric pure solid color colors "
    "graphic striped lattice floral patterns pattern neckline round v-shape crew three-point three-quarter there "
    "ring rings finger fingers neck accessory accessories on her his wrist hat socks shoes belts belted dresses "
    "covering covered complicated clothing clothes upper lower outer also these this these T-shirt The Her A "
    "stylish fashionably ladies running generally organization relational happily jumper frock garment apparel "
    "collar necklace coat jacket big large small little picture photo man guy dog domestic stand holding street road"
).split()

# Pieces of odd captions, and what stands between them.
PIECES = [
    "the", "a", "lady", "woman", "wears", "T-shirt", "v-neck", "three-point", "short-sleeve", "shirt", "cotton", "It",
    "She", "isn't", "she's", "dogs'", "can't", "cannot", "CANNOT", "gonna", "Mr.", "Mrs.", "U.S.", "U.S.A.", "a.m.",
    "p.m.", "e.g.", "i.e.", "etc.", "Dr.", "St.", "Ave.", "No.", "no.", "Fig.", "3", "5", "10", "1,000", "3.5",
    "10:30", "12/25/2019", "2019-03-04", "1/2", "3/4", "5-7/8", "7/8", "$20.50", "\u00a35", "\u20ac5", "\u00a5100",
    "50%", "#1", "#tag", "@user", "http://a.com/b?c=d", "https://x.org", "www.example.com", "example.org",
    "me@example.com", "a/b", "black/white", "t-shirt/jeans", "w/o", "and/or", "C++", "C#", "AT&T", "R&B", "555-1234",
    "(555)123-4567", "555.123.4567", ":)", ":-(", ";)", ":D", ":P", "=)", "<3", "...", ".", "..", "\u2026", "\u2014",
    "\u2013", "-", "--", "---", "----", "(", ")", "[", "]", "{", "}", "\"", "'", "`", "\u201c", "\u201d", "\u2018",
    "\u2019", "\u00ab", "\u00bb", "''", "``", "'s", "'re", "n't", "'em", "'90s", "'50", "90's", "o'clock",
    "rock'n'roll", "y'all", "ma'am", "O'Neill", "d'or", "l'amour", "caf\u00e9", "na\u00efve", "d\u00e9j\u00e0-vu",
    "\u65e5\u672c\u8a9e", "\u4e2d\u6587", "\ud55c\uad6d\uc5b4", "\u043f\u0440\u0438\u0432\u0435\u0442",
    "\u041c\u043e\u0441\u043a\u0432\u0430", "\U0001f389", "\U0001f600", "\u00bd", "\u00bc", "\u00be", "\u2153",
    "\u2154", "\u00b2", "\u00b3", "\u2082", "\u00b0", "\u2122", "\u00a9", "\u00ae", "&", "&amp;", "&lt;", "&gt;",
    "&quot;", "&apos;", "&nbsp;", "&#39;", "&eacute;", "<b>", "</b>", "<br/>", "<a", "href='x'>", "*", "**", "_",
    "__", "^", "~", "|", "\\", "/", "//", "+", "=", "==", "<", ">", "<<", ">>", "?", "!", "?!", "!!!", ",,", ";", ":",
    "Inc.", "Co.", "Ltd.", "Corp.", "Jan.", "Feb.", "Mon.", "Cal.", "Calif.", "Mass.", "vs.", "photo.jpg", "file.txt",
    "a.b.c", "x_y", "snake_case", "under-the-shoulder", "off-the-shoulder", "long-sleeved", "3-piece", "1980s", "6'2",
    "5'10\"", "36\"", "2x4", "4x4", "iPhone6", "B2B", "H2O", "\u00f1and\u00fa", "\u0130stanbul", "\u017f", "K",
    "\u2163", "\u2460", "\u338f", "\uff21\uff22\uff23", "\uff11\uff12\uff13", "\u00ad", "so\u00adft", "\u200b",
    "\ufeff", "\u00a0", "\u2003", "\u3000", "\t", "\u007f", "\u0001", "l.", "The", "L.", "size", "M.", "Vitamin",
    "C.", "I.", "II.", "A.", "ca.", "op.", "fig.", "bldg.", "Pty.", "pty.", "Jr.", "Sr.", "Ph.D.", "M.D.", "B.C.",
    "D.C.", "No.5", "#5", "$", "US$5", "A$", "HK$10", "-5", "+5", "\u22125", "5\u00b0", "100\u00b0C", "10%", ".5",
    "5.", "1.", "2)", "(a)", "a)", "1)", "(1)", "[1]", "{x}", "{{", "}}", "([x])", "(!)", "(?)", "x:", "x;", "x,",
    "x.", "x!", "x?", "x...", "x\u2026", "Mr. Smith", "the dog. The cat", "l. He ", "5 7/8", "1 1/2", "a  b", " ",
    "  ", "555 1234", "(555) 123-4567", "<a b=\"c d\">", ". . .", "\n", "a\nb", "a" * 300, "co-" * 40 + "op",
    "\u201equoted\u201c", "\u2018single\u2019", "\u2212", "\u00b7", "\u2022", "x\u0301e\u0301",
    "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e44\u0e17\u0e22", "\u05e2\u05d1\u05e8\u05d9\u05ea",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\u0663\u066b\u0661", "\u1e9e stra\u00dfe",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "\U00020000", "ftp://x.y/z", "mailto:a@b.c",
    "a@b", "https://en.wikipedia.org/wiki/Dress_(garment)?x=1&y=2#z", "C:\\dir\\file.doc", "10k", "3rd", "21st",
    "1st-class", "24/7", "9-to-5", "rock-'n'-roll", "mother-in-law's", "James's", "children's", "ladies'", "who'd've",
    "shouldn't've", "'Twas", "'tis", "Ma'am", "L'Oreal", "A-line", "U-neck", "X-ray", "AC/DC", "H&M", "M&M's", "D&G",
    "S&P-500", "Levi's", "A.P.C.", "St. John's", "J. Crew", "Yves St. Laurent",
]
SEPARATORS = [" "] * 10 + [""] * 5 + [", ", ". ", "-", "/", ".", ",", "'", "\u2019", ":", ";", "_", "&", "@", "\u00a0"]

# Parts of captions of everyday scenes.
SUBJECTS = (
    "a man,a woman,two people,a group of young people,a cat,a black dog,a small child,the man in a suit,several cars,"
    "a red double-decker bus,an old train,three zebras,a giraffe,a couple of birds,a baseball player,a skateboarder"
).split(",")
VERBS = (
    "sitting on,standing next to,holding,riding,is walking past,are looking at,wearing,eating,playing with,leans against,"
    "is parked near,flying over,with,jumping over,lying under"
).split(",")
THINGS = (
    "a table,a bench,an umbrella,a pizza,the street sign,a cell phone,a surfboard,some bananas,a laptop computer,a stop sign,"
    "his motorcycle,a fire hydrant,the kitchen sink,a teddy bear,a plate of food,her child's toy,a 12-foot ladder"
).split(",")
PLACES = (
    "in the park,on the street,at night,near the ocean,in front of a building,on a snow-covered slope,in a living room,"
    "by the window,next to the train tracks,on a sunny day"
).split(",")
