//! A folder of its own for each test, and the program run in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A temporary working directory.
pub struct Workdir(tempfile::TempDir);

impl Workdir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders above it.
    pub fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    /// The program with these arguments, separated by spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(arguments.split_whitespace()).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("RUST_BACKTRACE").env_remove("COLUMNS");
        // No test reaches the hub or the user's cache.
        command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", self.path().join("hf")).env_remove("HF_HUB_CACHE");
        command
    }

    /// What the user sees: the command, its exit code and its output. The folder's path is left out.
    pub fn sweep(&self, arguments: &str) -> String {
        self.shown(&self.command(arguments).output().expect("the program starts"))
    }

    /// What the user sees of a command that has ended.
    pub fn shown(&self, output: &Output) -> String {
        let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let section =
            |name: &str, text: String| if text.is_empty() { text } else { format!("--- {name}\n{text}") };
        let seen = format!("exit {code}\n{}{}", section("stdout", stdout), section("stderr", stderr));
        // The system may know the folder under another name (on macOS /var is a link).
        let real = fs::canonicalize(self.path()).unwrap_or_else(|_| self.path().to_owned());
        let seen = seen.replace(&*real.to_string_lossy(), "[DIR]");
        without_time(&seen.replace(&*self.path().to_string_lossy(), "[DIR]"))
    }
}

/// How long a plan takes is another thing on every machine.
fn without_time(seen: &str) -> String {
    let line = |line: &str| match line.strip_prefix("time: about ").and_then(|rest| rest.split_once(" on ")) {
        Some((_, rest)) => format!("time: about [TIME] on {rest}"),
        None => line.to_owned(),
    };
    seen.split_inclusive('\n').map(line).collect()
}
