//! The study's word pieces and the files that describe its model, in the Hugging Face layout.
//!
//! The vocabulary is that of a general model in small: all words of the scenes and many common ones are
//! pieces of their own, while the rarer words of fashion fall into several ("den ##im"). Letters and digits
//! are pieces, so that no caption of plain English contains an unknown word. `vocab.txt` and `tokenizer.json`
//! under `assets/lab/` are what this module writes (`cargo test --release write_the_files -- --ignored`); a
//! test keeps them so.

use std::fmt::Write as _;

/// Word pieces in the tokenizer.
pub const PIECES: usize = 600;
/// Rows of the model's word embedding: the pieces, `[DEC]` and `[ENC]`.
pub const VOCABULARY_SIZE: usize = PIECES + 2;
/// Pads a batch's shorter captions.
pub const PAD: u32 = 0;
/// The processor begins a caption with this.
pub const CLS: u32 = 2;
/// Ends a caption.
pub const SEP: u32 = 3;
/// Generation starts from this; it is not in the tokenizer.
pub const DEC: u32 = PIECES as u32;

/// The model folder's files but for the weights: name and content.
pub const MODEL_FILES: [(&str, &str); 6] = [
    ("config.json", include_str!("../../assets/lab/config.json")),
    ("preprocessor_config.json", include_str!("../../assets/lab/preprocessor_config.json")),
    ("special_tokens_map.json", include_str!("../../assets/lab/special_tokens_map.json")),
    ("tokenizer.json", include_str!("../../assets/lab/tokenizer.json")),
    ("tokenizer_config.json", include_str!("../../assets/lab/tokenizer_config.json")),
    ("vocab.txt", include_str!("../../assets/lab/vocab.txt")),
];

/// Special tokens; a token's position is its id.
const SPECIAL: &str = "[PAD] [UNK] [CLS] [SEP] [MASK]";

const PUNCTUATION: &str = "! \" # $ % & ' ( ) * + , - . / : ; < = > ? @ [ \\ ] ^ _ ` { | } ~";

const CHARACTERS: &str = "0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t u v w x y z";

/// Every word of the scenes' captions.
const SCENE_WORDS: &str = "a an and on the \
    ball bird boat car chair cup fish flower house kite star tree \
    grass road sand snow table water \
    black blue brown green orange pink purple red white yellow";

/// The words of the figures' captions that a general vocabulary has whole.
const FIGURE_WORDS: &str = "also bag belt carries clothing coat color cotton crew cut dot fabric face female finger \
    gray guy hand has hat head her his in is it jacket lady length long lower man neck no of off outer pair pants \
    patterns person point pure quarter ring round shape shirt short shorts skirt sleeves solid square stand stripe \
    tank there this three top upper waist wearing wears with woman are have";

/// Beginnings of the words that fall into pieces.
const BEGINNINGS: &str =
    "access be bl card chi den flo fur gentle graph knit la lea pl sleeve sun sweat tr ve wr";

/// Continuations: of those words, and endings of English in general.
const CONTINUATIONS: &str = "aid ce ed en er es ff glasses ic igan ige im ing ion ist lace less line ly man ment ness on ory \
    ouse ousers pel ral ry st ted th ther ting tti";

/// Common English words that no caption of the study uses, or not as a word of its own.
const COMMON_WORDS: &str = "about above across after again against air all along always am among animal another any around as ask at away \
    back bad bathroom beach bear because bed bedroom been before behind being below bench beside best better between bicycle big \
    board body book both bottle bottom bowl box boy bread bridge bright brother building bus but by cake call came camera can cat \
    catch child children church city clean clear clock close cloud cold come corner could country couple court cow cross dark day \
    deep did different dinner dirt do does dog done door down drink drive each earth eat egg eight elephant empty end enough even \
    evening every eye family far farm fast father feet fence few field find fire first five flat floor fly food foot for forest \
    fork four frame fresh friend from front fruit full game garden gave get giraffe girl give glass go going gold good got great \
    ground group grow had half hang happy hard he hear heart help high hill him hold holding horse hot how hundred if inside into \
    just keep kind kitchen knife know lake lamp land large last late laptop laying leaf learn least leave left letter life light \
    like little living look looking lot love low made make many may me meat men metal middle mirror money moon more morning most \
    mother mountain mouth move much must my name near never new next nice night nine nose not now number ocean old once one only \
    open or other our out over own paper park parked part people phone photo picture piece pizza plane plant plate play player \
    playing police pot pretty pull put question rain read ready riding right river rock roof room row run running said same sat \
    saw say school sea seat see seen she sheep ship shop show side sign sink sit sitting six sky small smile so soft some \
    standing stone stop store story street strong such summer sure surf swing take talk tall team tell thing think time today";

/// All word pieces; a piece's position is its id.
pub fn pieces() -> Vec<String> {
    let words = [SCENE_WORDS, FIGURE_WORDS, BEGINNINGS, COMMON_WORDS];
    let mut words: Vec<&str> = words.iter().flat_map(|list| list.split_whitespace()).collect();
    words.retain(|word| word.len() > 1);
    words.sort_unstable();
    let whole = [SPECIAL, PUNCTUATION, CHARACTERS].into_iter().flat_map(str::split_whitespace).chain(words);
    let continued = CHARACTERS.split_whitespace().chain(CONTINUATIONS.split_whitespace());
    whole.map(str::to_owned).chain(continued.map(|piece| format!("##{piece}"))).collect()
}

/// The content of `vocab.txt`: a piece a line.
pub fn vocab_txt() -> String {
    pieces().iter().map(|piece| format!("{piece}\n")).collect()
}

/// The content of `tokenizer.json`: BERT's lower-casing, splitting and word pieces.
pub fn tokenizer_json() -> String {
    let pieces = pieces();
    let mut special = String::new();
    for (id, token) in SPECIAL.split_whitespace().enumerate() {
        let comma = if id == 0 { "" } else { "," };
        let _ = write!(
            special,
            "{comma}\n    {{\n      \"id\": {id},\n      \"content\": \"{token}\",\n      \"single_word\": false,\n      \"lstrip\": false,\
             \n      \"rstrip\": false,\n      \"normalized\": false,\n      \"special\": true\n    }}"
        );
    }
    let mut vocabulary = String::new();
    for (id, piece) in pieces.iter().enumerate() {
        let comma = if id == 0 { "" } else { "," };
        let escaped = piece.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(vocabulary, "{comma}\n      \"{escaped}\": {id}");
    }
    TOKENIZER_FRAME.replace("<special>", &special).replace("<vocabulary>", &vocabulary)
}

const TOKENIZER_FRAME: &str = r###"{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [<special>
  ],
  "normalizer": {
    "type": "BertNormalizer",
    "clean_text": true,
    "handle_chinese_chars": true,
    "strip_accents": null,
    "lowercase": true
  },
  "pre_tokenizer": {
    "type": "BertPreTokenizer"
  },
  "post_processor": {
    "type": "TemplateProcessing",
    "single": [
      { "SpecialToken": { "id": "[CLS]", "type_id": 0 } },
      { "Sequence": { "id": "A", "type_id": 0 } },
      { "SpecialToken": { "id": "[SEP]", "type_id": 0 } }
    ],
    "pair": [
      { "SpecialToken": { "id": "[CLS]", "type_id": 0 } },
      { "Sequence": { "id": "A", "type_id": 0 } },
      { "SpecialToken": { "id": "[SEP]", "type_id": 0 } },
      { "Sequence": { "id": "B", "type_id": 1 } },
      { "SpecialToken": { "id": "[SEP]", "type_id": 1 } }
    ],
    "special_tokens": {
      "[CLS]": { "id": "[CLS]", "ids": [2], "tokens": ["[CLS]"] },
      "[SEP]": { "id": "[SEP]", "ids": [3], "tokens": ["[SEP]"] }
    }
  },
  "decoder": {
    "type": "WordPiece",
    "prefix": "##",
    "cleanup": true
  },
  "model": {
    "type": "WordPiece",
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
    "vocab": {<vocabulary>
    }
  }
}
"###;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use tokenizers::Tokenizer;

    use super::*;
    use crate::lab::figure::figure_at;
    use crate::lab::scene_at;

    fn file(name: &str) -> &'static str {
        MODEL_FILES.iter().find(|(file, _)| *file == name).unwrap().1
    }

    fn tokenizer() -> Tokenizer {
        file("tokenizer.json").parse().unwrap()
    }

    #[test]
    fn the_files_are_what_this_module_writes() {
        assert!(file("tokenizer.json") == tokenizer_json(), "assets/lab/tokenizer.json is out of date");
        assert!(file("vocab.txt") == vocab_txt(), "assets/lab/vocab.txt is out of date");
    }

    #[test]
    #[ignore = "writes the files that the test above compares"]
    fn write_the_files() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/lab");
        std::fs::write(format!("{folder}/tokenizer.json"), tokenizer_json()).unwrap();
        std::fs::write(format!("{folder}/vocab.txt"), vocab_txt()).unwrap();
    }

    #[test]
    fn every_piece_has_one_id() {
        let pieces = pieces();
        assert_eq!(pieces.len(), PIECES);
        assert_eq!(pieces.iter().collect::<BTreeSet<_>>().len(), PIECES);
        let tokenizer = tokenizer();
        assert_eq!(tokenizer.get_vocab_size(true), PIECES);
        for (id, piece) in pieces.iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(piece), Some(id as u32), "{piece}");
        }
        for (token, id) in [("[PAD]", PAD), ("[CLS]", CLS), ("[SEP]", SEP)] {
            assert_eq!(tokenizer.token_to_id(token), Some(id));
        }
    }

    #[test]
    fn the_configuration_agrees_with_the_vocabulary() {
        let config: Value = serde_json::from_str(file("config.json")).unwrap();
        let text = &config["text_config"];
        let expected = [
            ("vocab_size", VOCABULARY_SIZE as u64),
            ("bos_token_id", DEC.into()),
            ("eos_token_id", SEP.into()),
            ("sep_token_id", SEP.into()),
            ("pad_token_id", PAD.into()),
        ];
        for (key, value) in expected {
            assert_eq!(text[key].as_u64(), Some(value), "{key}");
        }
        assert_eq!(text["encoder_hidden_size"], config["vision_config"]["hidden_size"]);
        let processor: Value = serde_json::from_str(file("preprocessor_config.json")).unwrap();
        assert_eq!(processor["size"], config["vision_config"]["image_size"]);
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            let special: Value = serde_json::from_str(file(name)).unwrap();
            assert_eq!(special["sep_token"], "[SEP]", "{name}");
        }
    }

    #[test]
    fn scenes_speak_in_whole_words() {
        let tokenizer = tokenizer();
        for index in 0..500 {
            let caption = scene_at(7, index, 1).caption;
            let encoding = tokenizer.encode(caption.as_str(), true).unwrap();
            assert_eq!(encoding.len(), caption.split(' ').count() + 2, "{caption}");
            assert!(!encoding.get_tokens().iter().any(|token| token == "[UNK]"), "{caption}");
        }
    }

    #[test]
    fn figures_speak_in_known_pieces_at_length_and_repeat_themselves() {
        let tokenizer = tokenizer();
        let mut lengths = Vec::new();
        let mut repeating = 0;
        for index in 0..1000 {
            let caption = figure_at(7, index, 1).caption;
            let encoding = tokenizer.encode(caption.as_str(), true).unwrap();
            assert!(!encoding.get_tokens().iter().any(|token| token == "[UNK]"), "{caption}");
            lengths.push(encoding.len());
            let bigrams: Vec<_> = encoding.get_ids().windows(2).collect();
            repeating += usize::from(bigrams.iter().collect::<BTreeSet<_>>().len() < bigrams.len());
        }
        lengths.sort_unstable();
        assert!((50..60).contains(&lengths[500]), "median {}", lengths[500]);
        assert!((66..78).contains(&lengths[950]), "95th percentile {}", lengths[950]);
        assert!(lengths[999] <= 128, "longest {}", lengths[999]);
        let cut = lengths.iter().filter(|&&length| length > 60).count();
        assert!((200..350).contains(&cut), "{cut} of 1000 are cut by a limit of 60");
        assert!(repeating > 900, "{repeating} of 1000 repeat a bigram");
    }

    #[test]
    fn rarer_words_of_fashion_fall_into_pieces() {
        let encoding = tokenizer().encode("denim neckline", false).unwrap();
        assert_eq!(encoding.get_tokens(), ["den", "##im", "neck", "##line"]);
    }
}
