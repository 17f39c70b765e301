//! The command of a task: the same on every cluster. Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::run::policy::Retry;
use crate::spec::Launcher;

/// `sweep worker --plan`, with everything that does not depend on the task.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// This program.
    pub program: PathBuf,
    /// Where paths of the plan begin.
    pub working_directory: PathBuf,
    /// The folder of all results, absolute.
    pub runs: PathBuf,
    /// The frozen plan, absolute.
    pub plan: PathBuf,
    /// Tells it from a plan that took its place since.
    pub plan_digest: String,
    pub device: String,
    pub checkpoint_every: Duration,
    pub retry: Option<Retry>,
}

impl Worker {
    /// The arguments of the program.
    pub fn arguments(&self, launcher: &Launcher) -> Vec<String> {
        let mut words = vec!["worker".to_owned()];
        let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
        option("--plan", &shown(&self.plan));
        option("--plan-digest", &self.plan_digest);
        option("--runs", &shown(&self.runs));
        option("--device", &self.device);
        option("--threads", &launcher.cpus().to_string());
        let every = humantime::format_duration(self.checkpoint_every).to_string().replace(' ', "");
        option("--checkpoint-every", &every);
        if launcher.per_task() > 1 {
            option("--runs-per-task", &launcher.per_task().to_string());
        }
        if let Some(retry) = self.retry {
            option("--retry", retry.name());
        }
        if let Some(folder) = &launcher.cache_dir {
            // The task completes its variables, wherever it is started and by whom.
            option("--cache-dir", folder);
        }
        words
    }

    /// The lines of a script: the user's own, and the program in the place of the shell.
    ///
    /// `exec` keeps the shell's process number, so that a signal to the script is one to the worker, and the script's exit
    /// code is the worker's.
    pub fn lines(&self, launcher: &Launcher, more: &str) -> String {
        let words = [shown(&self.program)].into_iter().chain(self.arguments(launcher));
        let words: Vec<String> = words.map(|word| quoted(&word)).collect();
        let setup: String = launcher.setup.iter().map(|line| format!("{line}\n")).collect();
        format!("{LEASE}\n{setup}exec {}{more}\n", words.join(" "))
    }
}

/// A lock may hold on its own node alone, which no program can tell; a heartbeat holds everywhere.
const LEASE: &str = "export SWEEP_LEASE=\"${SWEEP_LEASE:-heartbeat}\"";

pub fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A word as it is typed in a shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=,:@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn worker() -> Worker {
        Worker {
            program: "/opt/sweep/bin/sweep".into(),
            working_directory: "/home/me/study".into(),
            runs: "/home/me/study/runs".into(),
            plan: "/home/me/study/runs/unfreeze/plan.jsonl".into(),
            plan_digest: "0123456789abcdef".to_owned(),
            device: "auto".to_owned(),
            checkpoint_every: Duration::from_secs(90),
            retry: None,
        }
    }

    #[test]
    fn words_are_quoted_so_that_no_shell_touches_what_the_task_is_to_complete() {
        let worker = Worker { runs: "/home/my data".into(), retry: Some(Retry::Failed), ..worker() };
        let launcher = Launcher {
            cache_dir: Some("$TMPDIR/it's \"new\"".to_owned()),
            setup: vec!["module load x".to_owned()],
            ..Launcher::default()
        };
        insta::assert_snapshot!(worker.lines(&launcher, " >&2"), @r#"
        export SWEEP_LEASE="${SWEEP_LEASE:-heartbeat}"
        module load x
        exec /opt/sweep/bin/sweep worker --plan /home/me/study/runs/unfreeze/plan.jsonl --plan-digest 0123456789abcdef --runs '/home/my data' --device auto --threads 1 --checkpoint-every 1m30s --retry failed --cache-dir '$TMPDIR/it'\''s "new"' >&2
        "#);
        assert!(worker.arguments(&launcher).contains(&"/home/my data".to_owned()));
    }
}
