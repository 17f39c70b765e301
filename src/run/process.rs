//! Launches each run as a child process: `sweep worker --run DIR`.
//!
//! The child's standard input carries nothing; closing it asks the child to stop. That is one way for Ctrl-C and for
//! a parent that dies, and it needs no signals. Children get a process group of their own, so that the terminal's
//! Ctrl-C reaches the parent alone.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::cache::Cache;
use super::devices::{Devices, Held};
use super::launcher::{Exit, Launcher, Message, Running, Task};
use super::resolve::resolved;
use crate::record::{config, journal};

/// What a training step frees, the next one needs again. Given back to the system in between, it would be cleared page by
/// page every time, which is a fifth of the time of a large model's step. These are the words of glibc's allocator; others
/// pass them over.
const KEPT_MEMORY: [(&str, &str); 3] =
    [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "1000000000000"), ("MALLOC_TOP_PAD_", "67108864")];

/// Launches runs as processes of this program.
#[derive(Debug, Clone)]
pub struct Processes {
    /// This program.
    pub program: PathBuf,
    /// The `runs/` folder, absolute.
    pub runs: PathBuf,
    /// The folder that relative paths in the plan start from, absolute.
    pub working_directory: PathBuf,
    /// As the user named it: `auto`, `cpu`, ...
    pub device: String,
    /// Where each run has a device of its own, in the place of `device`.
    pub devices: Option<Devices>,
    /// Threads of each run.
    pub threads: usize,
    /// How much of a run's work may be lost if it is cut off.
    pub checkpoint_every: Duration,
    /// Where states of images are kept between runs, by an absolute path; `None` goes without.
    pub cache: Option<Cache>,
}

impl Processes {
    /// The command that works on a run, with its threads limited.
    ///
    /// Both thread pools are told: rayon's, and the one candle's own operations use.
    pub fn command(&self, task: &Task) -> anyhow::Result<Command> {
        self.command_on(task, &self.device)
    }

    fn command_on(&self, task: &Task, device: &str) -> anyhow::Result<Command> {
        config::show_config(&task.directory, &resolved(&task.spec, &self.runs)?)?;
        let threads = self.threads.to_string();
        let mut command = Command::new(&self.program);
        command.arg("worker");
        command.arg("--run").arg(self.working_directory.join(&task.directory.path));
        command.arg("--runs").arg(&self.runs);
        command.args(["--device", device, "--threads", &threads]);
        let every = humantime::format_duration(self.checkpoint_every).to_string();
        command.args(["--checkpoint-every", &every]);
        command.args(task.until_epoch.map(|epoch| format!("--until-epoch={epoch}")));
        match &self.cache {
            Some(Cache { folder, bytes }) => {
                command.arg("--cache-dir").arg(folder).args(["--cache-size", &bytes.to_string()])
            }
            None => command.arg("--no-cache"),
        };
        command.env("RAYON_NUM_THREADS", &threads).env("CANDLE_NUM_THREADS", &threads).envs(KEPT_MEMORY);
        Ok(command)
    }
}

impl Launcher for Processes {
    fn launch(
        &self,
        index: usize,
        task: &Task,
        messages: &Sender<Message>,
    ) -> anyhow::Result<Box<dyn Running>> {
        let held = self.devices.as_ref().and_then(Devices::take);
        let device = held.as_ref().map_or(self.device.as_str(), |held| held.name.as_str());
        let mut command = self.command_on(task, device)?;
        command.arg("--supervised");
        let mut worker = start(command, &task.directory.log(), index, messages)?;
        worker.device = held;
        // The disk is waited for while the worker loads. What it does not keep, the next start writes anew.
        let _ = config::keep_config(&task.directory);
        Ok(Box::new(worker))
    }
}

/// Starts a command whose output is heard, whose errors go to the log, and which ends when its input does.
fn start(
    mut command: Command,
    log: &Path,
    index: usize,
    messages: &Sender<Message>,
) -> anyhow::Result<Worker> {
    // The log is opened before the run starts, so that no failure is without one.
    let errors = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("{}: cannot open", log.display()))?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
    in_own_group(&mut command);
    let mut child = command.spawn().context("cannot start a worker process")?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let worker = Worker { child, input, device: None };
    let output = output.context("the worker process has no standard output")?;
    let messages = messages.clone();
    thread::spawn(move || listen(index, output, &messages));
    Ok(worker)
}

/// Passes on what the child says until it closes its output. Text that is no event is left out: a library may print.
fn listen(task: usize, output: impl Read, messages: &Sender<Message>) {
    for bytes in BufReader::new(output).split(b'\n') {
        let Ok(bytes) = bytes else { break };
        let Ok(line) = journal::decode(&String::from_utf8_lossy(&bytes)) else {
            continue;
        };
        if messages.send(Message::Said { task, line }).is_err() {
            return;
        }
    }
    let _ = messages.send(Message::Closed { task });
}

struct Worker {
    child: Child,
    /// Dropped to ask the child to stop.
    input: Option<ChildStdin>,
    /// The child's own, until its end.
    device: Option<Held>,
}

impl Running for Worker {
    fn ask_to_stop(&mut self) {
        self.input = None;
    }

    fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
    }

    fn wait(&mut self) -> io::Result<Exit> {
        self.child.wait().map(exit_of)
    }
}

/// A dispatcher that gives up leaves no stray children behind.
impl Drop for Worker {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.kill();
            let _ = self.child.wait();
        }
        // Not before: the next run would find it taken.
        self.device = None;
    }
}

/// How a process ended.
pub fn exit_of(status: ExitStatus) -> Exit {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Exit::Signal(signal);
    }
    Exit::Code(status.code().unwrap_or(1))
}

/// The terminal's Ctrl-C reaches the parent alone.
#[cfg(unix)]
pub fn in_own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// The terminal's Ctrl-C reaches the parent alone.
#[cfg(windows)]
pub fn in_own_group(command: &mut Command) {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::dispatch::tests::{planned, task};
    use std::sync::mpsc;

    #[test]
    fn text_between_the_events_is_left_out_and_the_end_of_the_output_is_the_last_message() {
        let event =
            r#"{"v":1,"at":"now","attempt":1,"event":"checkpointed","epoch":1,"step":2,"checkpoint":"best"}"#;
        let output = [b"noise\n", event.as_bytes(), b"\n\xff\n"].concat();
        let (sender, receiver) = mpsc::channel();
        listen(3, output.as_slice(), &sender);
        let messages: Vec<Message> = receiver.try_iter().collect();
        assert!(
            matches!(messages.as_slice(), [Message::Said { task: 3, .. }, Message::Closed { task: 3 }]),
            "{messages:?}"
        );
    }

    #[test]
    fn a_worker_is_told_its_run_by_absolute_paths_and_its_threads_in_every_way_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let processes = Processes {
            program: "sweep".into(),
            runs: folder.path().to_owned(),
            working_directory: folder.path().to_owned(),
            device: "cpu".to_owned(),
            devices: None,
            threads: 3,
            checkpoint_every: Duration::from_secs(90),
            cache: Some(Cache { folder: "/cache".into(), bytes: 7 }),
        };
        let task = task(folder.path(), planned("r1"));
        let command = processes.command(&task).unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let run = task.directory.path.to_string_lossy().into_owned();
        let runs = folder.path().to_string_lossy().into_owned();
        let wanted = ["worker", "--run", &run, "--runs", &runs, "--device", "cpu", "--threads", "3"];
        let rest = ["--checkpoint-every", "1m 30s", "--cache-dir", "/cache", "--cache-size", "7"];
        assert_eq!(words, [&wanted[..], &rest].concat());
        let bounded = Task { until_epoch: Some(3), ..task.clone() };
        let bounded = processes.command(&bounded).unwrap();
        assert!(bounded.get_args().any(|word| word == "--until-epoch=3"), "{bounded:?}");
        let limits: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
            assert!(limits.contains(&(name.into(), Some("3".into()))), "{limits:?}");
        }
        let written = config::read_config(&task.directory).unwrap();
        assert_eq!(written, resolved(&task.spec, folder.path()).unwrap());
        assert!(Path::new(&written.recipe.model).is_absolute(), "{}", written.recipe.model);
    }

    /// Starts a shell script as a worker, does something to it, and returns how it ended and what it logged.
    #[cfg(unix)]
    fn run_script(script: &str, act: impl FnOnce(&mut Worker)) -> (Exit, String) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.txt");
        let (sender, receiver) = mpsc::channel();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut worker = start(command, &log, 0, &sender).unwrap();
        act(&mut worker);
        assert!(matches!(receiver.recv(), Ok(Message::Closed { task: 0 })));
        (worker.wait().unwrap(), std::fs::read_to_string(log).unwrap())
    }

    #[cfg(unix)]
    #[test]
    fn a_worker_ends_when_it_is_asked_to_and_its_errors_are_in_the_log() {
        let seen = run_script("echo bye >&2; cat > /dev/null; exit 75", Running::ask_to_stop);
        assert_eq!(seen, (Exit::Code(75), "bye\n".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn a_worker_that_does_not_listen_is_killed() {
        let seen = run_script("exec sleep 100", Running::kill);
        assert_eq!(seen, (Exit::Signal(9), String::new()));
    }
}
