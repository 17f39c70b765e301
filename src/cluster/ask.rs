//! Asks a program of the cluster, and does not wait for it without end.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::ClusterError;

/// A controller that is busy may take a while; one that is gone is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a program at work is looked at, at most.
const POLL: Duration = Duration::from_millis(20);

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
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        ClusterError(match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no `{program}` here\nhint: this is for the cluster's login node")
            }
            _ => format!("`{program}` cannot be started: {error}"),
        })
    })?;
    let (said, complained) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < PATIENCE => {
                thread::sleep(pause);
                pause = (pause * 2).min(POLL);
            }
            Ok(None) => {
                // An error means that it has ended already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(ClusterError(format!(
                    "`{program}` does not answer within {} s",
                    PATIENCE.as_secs()
                )));
            }
            Err(error) => return Err(ClusterError(format!("`{program}`: {error}"))),
        }
    };
    let text = |thread: JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Answer { is_success: status.success(), said: text(said), complained: text(complained) })
}

/// Reads in a thread of its own: a program that nobody listens to stops when the pipe is full.
fn read_all(source: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            let _ = source.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
