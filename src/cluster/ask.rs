//! Asks a program of the cluster, and does not wait for it without end, nor take in whatever it may say.

use std::ffi::OsStr;
use std::io::{self, Read};
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::ClusterError;

/// A controller that is busy may take a while; one that is gone is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is said is whole once the program has ended, unless it leaves a child behind that holds its output open.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// How often a program at work is looked at, at most.
const POLL: Duration = Duration::from_millis(20);
/// The queue of a large cluster is shorter by far.
const MOST_BYTES: u64 = 64 << 20;

/// What is said of a program that was not waited for any longer.
pub const NO_ANSWER: &str = "does not answer";

/// What a program said.
#[derive(Debug)]
pub struct Answer {
    pub is_success: bool,
    pub said: String,
    pub complained: String,
}

impl Answer {
    /// What went wrong, in a line.
    pub fn complaint(&self) -> &str {
        let words = self.complained.trim();
        if words.is_empty() { "it gives no reason" } else { words }
    }
}

/// Asks a program with these variables besides those there are.
pub fn ask(
    program: &str,
    arguments: &[impl AsRef<OsStr>],
    variables: &[(&str, &str)],
) -> Result<Answer, ClusterError> {
    ask_within(PATIENCE, program, arguments, variables)
}

fn ask_within(
    patience: Duration,
    program: &str,
    arguments: &[impl AsRef<OsStr>],
    variables: &[(&str, &str)],
) -> Result<Answer, ClusterError> {
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C is for this program: one that is handing over a job must come to its answer.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| {
        ClusterError(match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no `{program}` here\nhint: this is for the cluster's login node")
            }
            _ => format!("`{program}` cannot be started: {error}"),
        })
    })?;
    let (said, complained) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
    let status = wait(&mut child, patience).map_err(|error| ClusterError(format!("`{program}`: {error}")))?;
    let Some(status) = status else {
        let seconds = patience.as_secs();
        return Err(ClusterError(format!("`{program}` {NO_ANSWER} within {seconds} s")));
    };
    Ok(Answer { is_success: status.success(), said: text(&said), complained: text(&complained) })
}

/// How a program ended; nothing where it did not, and was killed.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() >= patience {
            // An error means that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(POLL);
    }
}

/// Reads in a thread of its own: a program that nobody listens to stops when the pipe is full.
fn read_all(source: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut source = source.map(|source| source.take(MOST_BYTES));
        let mut block = vec![0; 1 << 16];
        while let Some(Ok(count @ 1..)) = source.as_mut().map(|source| source.read(&mut block)) {
            if sender.send(block[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn text(blocks: &Receiver<Vec<u8>>) -> String {
    let until = Instant::now() + AFTERWARDS;
    let mut bytes = Vec::new();
    while let Ok(block) = blocks.recv_timeout(until.saturating_duration_since(Instant::now())) {
        bytes.extend(block);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn within(milliseconds: u64, script: &str) -> Result<Answer, String> {
        ask_within(Duration::from_millis(milliseconds), "sh", &["-c", script], &[("WORD", "said")])
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_program_says_and_complains_of_is_heard_whole() {
        let answer = within(60_000, "echo $WORD; echo why >&2; exit 3").unwrap();
        assert_eq!((answer.is_success, answer.said.as_str(), answer.complaint()), (false, "said\n", "why"));
        let long = within(60_000, "head -c 3000000 /dev/zero").unwrap();
        assert!(long.is_success && long.said.len() == 3_000_000 && long.complaint() == "it gives no reason");
    }

    #[test]
    fn a_program_that_hangs_is_not_waited_for_nor_one_whose_child_holds_its_output_open() {
        let began = Instant::now();
        assert_eq!(within(50, "exec sleep 100").unwrap_err(), "`sh` does not answer within 0 s");
        assert_eq!(within(60_000, "echo said; sleep 100 &").unwrap().said, "said\n");
        assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    }

    #[test]
    fn a_program_that_never_stops_talking_does_not_fill_the_memory() {
        let answer = within(60_000, "exec yes").unwrap();
        assert_eq!((answer.is_success, answer.said.len() as u64), (false, MOST_BYTES));
    }
}
