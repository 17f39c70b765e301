//! Bad input of every kind, as the user meets it: one message each, within bounds of memory and time.
//!
//! Each file here is a table: what is wrong, how such a file is made, the command that meets it. The messages of a table
//! are one snapshot, so that they can be read one below the other; what is accepted shows as such.

mod captions;
mod images;
mod numbers;
mod run_store;
mod sweep_file;
mod tokenizer;
mod weights;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::workdir::Workdir;

/// The most memory that a command may ask for, in kB: what it writes to and does not share.
const MOST_MEMORY: u64 = 1 << 20;
/// A command that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);
/// More text than this is no message.
const MOST_TEXT: usize = 6000;

/// A row of the matrix.
struct Case {
    /// What is wrong.
    name: &'static str,
    make: fn(&Workdir),
    command: &'static str,
}

const fn case(name: &'static str, command: &'static str, make: fn(&Workdir)) -> Case {
    Case { name, make, command }
}

/// Makes every case in a folder of its own, runs its command, and compares what the user sees of all of them with the
/// snapshot of this name.
fn check(snapshot: &str, cases: &[Case], base: fn() -> Workdir) {
    let (text, faults) = shown(cases, base);
    assert_snapshot!(snapshot, text);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What the user sees of every case, and what must not be.
fn shown(cases: &[Case], base: fn() -> Workdir) -> (String, Vec<String>) {
    let (mut text, mut faults) = (String::new(), Vec::new());
    for Case { name, make, command } in cases {
        let workdir = base();
        make(&workdir);
        let start = Instant::now();
        let mut output = bounded(name, workdir.command(command));
        eprintln!("{:>6} ms  {name}", start.elapsed().as_millis());
        faults.extend(fault(&output).map(|fault| format!("{name}: {fault}")));
        // What is accepted is no matter of this table.
        if output.status.success() {
            output.stdout.clear();
        }
        let shown = without_accidents(&without_repetition(&without_ids(&workdir.shown(&output))));
        text.push_str(&format!("## {name}\n$ sweep {command}\n{shown}\n"));
    }
    (text, faults)
}

/// A text without the ids of runs, which follow from all settings that there are.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        let hash = word.strip_prefix('r').unwrap_or_default();
        hash.len() == 10 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let words = text.split_inclusive(|c: char| !c.is_alphanumeric());
    words
        .map(|word| {
            let end = word.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
            if is_id(&word[..end]) { format!("[RUN]{}", &word[end..]) } else { word.to_owned() }
        })
        .collect()
}

/// A text in which no character is repeated more than a hundred times: how much of a long name is shown depends on the path
/// before it.
fn without_repetition(text: &str) -> String {
    const MOST: usize = 100;
    let (mut shown, mut last, mut times) = (String::new(), None, 0);
    for character in text.chars() {
        times = if last == Some(character) { times + 1 } else { 1 };
        last = Some(character);
        match times {
            ..=MOST => shown.push(character),
            _ if times == MOST + 1 => shown.push_str("[...]"),
            _ => {}
        }
    }
    shown
}

/// A text without the places in logs and tables, which move with the digits of times and losses before them, without
/// the memory that the machine has, and without the length of what is not shown.
fn without_accidents(text: &str) -> String {
    ["line at byte ", " MB in memory, and ", "... ("].iter().fold(text.to_owned(), |text, before| {
        let mut parts = text.split(before);
        let mut shown = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let number = &part[..part.len() - rest.len()];
            shown += &format!("{before}{}{rest}", if number == "0" { "0" } else { "[N]" });
        }
        shown
    })
}

/// What is wrong with the end of a command: it must be without a panic, with an exit code that says whose fault it was,
/// and in few words.
fn fault(output: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let is_named = matches!(output.status.code(), Some(0 | 2 | 3));
    (!is_named || said.contains("panicked") || said.len() > MOST_TEXT).then(|| {
        let start: String = said.chars().take(MOST_TEXT).collect();
        format!("{} after {} bytes of words: {start}", output.status, said.len())
    })
}

/// Runs a command that may ask for so much memory and takes so long at most.
fn bounded(name: &str, command: Command) -> Output {
    let script = format!("ulimit -d {MOST_MEMORY} && exec \"$0\" \"$@\"");
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(script).arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().expect("a folder")).stdin(Stdio::null());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(key, value),
            None => limited.env_remove(key),
        };
    }
    let child = limited.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(LONGEST) {
        Ok(output) => output.expect("output"),
        Err(_) => {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            panic!("{name}: not done after {LONGEST:?}");
        }
    }
}

/// A model, four pictures, captions for them, and a sweep over them.
fn own_data() -> Workdir {
    let workdir = Workdir::new();
    workdir.file("s.yaml", SWEEP).file("train.json", TRAIN).file("test.json", r#"{"d.png": "a blue ball"}"#);
    fs::create_dir_all(workdir.path().join("images")).unwrap();
    for (index, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let shade = |x: u32, y: u32| image::Rgb([(x * 3) as u8, (y * 5) as u8, 60 * index as u8]);
        let picture = image::RgbImage::from_fn(70, 50, shade);
        picture.save(workdir.path().join(format!("images/{name}.png"))).unwrap();
    }
    let model = workdir.path().join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(assets()).unwrap() {
        let path = entry.unwrap().path();
        let copied = model.join(path.file_name().unwrap());
        // The weights are large: a link, as in the cache of the hub. Whoever spoils them puts a file in its place.
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            std::os::unix::fs::symlink(&path, copied).unwrap();
        } else {
            fs::copy(&path, copied).unwrap();
        }
    }
    workdir
}

const SWEEP: &str = "\
model: model
data:
  train: {captions: train.json, images: images}
  validation: {fraction: 0.34, seed: 1}
  test: {captions: test.json, images: images}
parameters:
  learning_rate: {values: [1.0e-4, 1.0e-3]}
training: {batch_size: 2, epochs: 1, warmup_steps: 0, max_length: 20}
generation: {max_length: 8, num_beams: 1}
references: {zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false, simple_models: false}
";

const TRAIN: &str = r#"{"a.png": "a red ball", "b.png": "a green tree", "c.png": "a white house"}"#;

fn assets() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/lab"))
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Ways of making a file wrong.
trait Spoil {
    /// Puts bytes there, whatever was there before.
    fn bytes(&self, name: &str, bytes: &[u8]);
    /// A file of this length, of which the disk holds nothing.
    fn hollow(&self, name: &str, length: u64);
    /// A pipe that nobody writes to.
    fn pipe(&self, name: &str);
    fn folder(&self, name: &str);
    /// A link to there.
    fn link(&self, name: &str, to: &str);
    /// Changes a text file: every `from` becomes `to`, and there must be one.
    fn replace(&self, name: &str, from: &str, to: &str);
    fn remove(&self, name: &str);
}

impl Spoil for Workdir {
    fn bytes(&self, name: &str, bytes: &[u8]) {
        self.remove(name);
        fs::write(self.path().join(name), bytes).unwrap();
    }

    fn hollow(&self, name: &str, length: u64) {
        self.remove(name);
        fs::File::create(self.path().join(name)).unwrap().set_len(length).unwrap();
    }

    fn pipe(&self, name: &str) {
        self.remove(name);
        assert!(Command::new("mkfifo").arg(self.path().join(name)).status().unwrap().success());
    }

    fn folder(&self, name: &str) {
        self.remove(name);
        fs::create_dir(self.path().join(name)).unwrap();
    }

    fn link(&self, name: &str, to: &str) {
        self.remove(name);
        std::os::unix::fs::symlink(to, self.path().join(name)).unwrap();
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path().join(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        self.bytes(name, text.replace(from, to).as_bytes());
    }

    fn remove(&self, name: &str) {
        let path = self.path().join(name);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
}
