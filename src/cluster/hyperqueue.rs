//! What HyperQueue is told, one `hq submit` of a task array, and what its answers mean. Pure.
//!
//! Options are those of HyperQueue's documentation ("Jobs and tasks", "Task arrays", "Resource management"), version 0.18 to
//! 0.27, and were tried on 0.26: lists of ids may be `3,7,12-20`, durations are humantime's, and `--output-mode=quiet` prints
//! a job's number alone. `--output-mode=json` is documented ("Output mode") as incomplete and not yet stable: only what is
//! needed is read of it, and an answer without that is no answer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::array::compact;
use super::command::{Worker, quoted, shown};
use crate::spec::Launcher;

/// The words of `hq submit`; `task` is the script that a task runs.
pub fn submit_command(
    name: &str,
    tasks: &[usize],
    worker: &Worker,
    launcher: &Launcher,
    folder: &Path,
    task: &Path,
) -> Vec<String> {
    let mut words: Vec<String> = ["hq", "--output-mode=quiet", "submit"].map(str::to_owned).into();
    words.extend([
        format!("--name={name}"),
        format!("--array={}", compact(tasks)),
        format!("--cpus={}", launcher.cpus()),
        format!("--cwd={}", shown(&worker.working_directory)),
        format!("--stdout={}/%{{JOB_ID}}_%{{TASK_ID}}.log", shown(folder)),
        format!("--stderr={}/%{{JOB_ID}}_%{{TASK_ID}}.log", shown(folder)),
        format!("--crash-limit={}", launcher.requeues()),
    ]);
    if let Some(gpus) = launcher.gpus_per_node.filter(|count| *count > 0) {
        words.push(format!("--resource=gpus/nvidia={gpus}"));
    }
    if let Some(gigabytes) = launcher.mem_gb {
        // HyperQueue counts `mem` in MiB.
        words.push(format!("--resource=mem={}", (gigabytes * 1024.0).ceil()));
    }
    if let Some(minutes) = launcher.timeout_min {
        // A task that would not end within its worker's life does not begin there.
        words.extend([format!("--time-request={minutes}m"), format!("--time-limit={minutes}m")]);
    }
    words.extend(["--".to_owned(), "bash".to_owned(), shown(task)]);
    words
}

/// The script that a task runs.
pub fn task_script(worker: &Worker, launcher: &Launcher) -> String {
    format!("#!/bin/bash\n{}", worker.lines(launcher, ""))
}

/// A job in the queue.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Job {
    pub id: u64,
    pub name: String,
}

/// The jobs that `hq --output-mode=json job list` names. Without `--all` it names those that have not ended.
pub fn jobs(said: &str) -> Option<Vec<Job>> {
    serde_json::from_str(said).ok()
}

/// The tasks that `hq --output-mode=json task list` names, by job: their indices, and their states in Slurm's words. Those that
/// have ended are left out.
pub fn tasks(said: &str) -> Option<BTreeMap<String, Vec<(usize, &'static str)>>> {
    #[derive(Deserialize)]
    struct Task {
        id: usize,
        state: String,
    }
    let known: BTreeMap<String, Vec<Task>> = serde_json::from_str(said).ok()?;
    let alive = |task: Task| match task.state.as_str() {
        "waiting" => Some((task.id, "PENDING")),
        "running" => Some((task.id, "RUNNING")),
        _ => None,
    };
    Some(known.into_iter().map(|(job, tasks)| (job, tasks.into_iter().filter_map(alive).collect())).collect())
}

/// The command as one line of a shell.
pub fn in_a_line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::worker;
    use super::*;

    /// As HyperQueue 0.26 answered.
    #[test]
    fn answers_tell_jobs_by_number_and_name_and_tasks_that_have_not_ended() {
        let said = r#"[{"cancel_reason": null, "id": 3, "is_open": false, "name": "sweep-x", "task_count": 4,
            "task_stats": {"aborted": 0, "canceled": 0, "failed": 0, "finished": 0, "running": 0, "waiting": 4}}]"#;
        assert_eq!(jobs(said), Some(vec![Job { id: 3, name: "sweep-x".to_owned() }]));
        let said = r#"{"3": [{"id": 0, "state": "waiting"}, {"id": 1, "state": "running", "worker": 1},
            {"id": 2, "state": "finished"}, {"id": 7, "state": "canceled"}]}"#;
        let found = [("3".to_owned(), vec![(0, "PENDING"), (1, "RUNNING")])].into();
        assert_eq!(tasks(said), Some(found));
        for said in ["", "3 RUNNING", "{\"error\": \"no server\"}", "[1]", "null"] {
            assert_eq!((jobs(said), tasks(said)), (None, None), "{said}");
        }
        assert_eq!((jobs("[]"), tasks("{}")), (Some(Vec::new()), Some(BTreeMap::new())));
    }

    /// The options of `hq submit` that are used, as `hq submit --help` has them.
    const KNOWN: [&str; 10] = [
        "--name",
        "--array",
        "--cpus",
        "--cwd",
        "--stdout",
        "--stderr",
        "--crash-limit",
        "--resource",
        "--time-request",
        "--time-limit",
    ];

    #[test]
    fn a_task_array_is_submitted_by_documented_options() {
        let launcher = Launcher {
            timeout_min: Some(90),
            gpus_per_node: Some(1),
            cpus_per_task: Some(8),
            mem_gb: Some(16.0),
            ..Launcher::default()
        };
        let folder = Path::new("/home/me/study/runs/unfreeze/hyperqueue");
        let words = submit_command(
            "sweep-unfreeze",
            &[3, 7, 12, 13, 14],
            &worker(),
            &launcher,
            folder,
            &folder.join("0001-task.sh"),
        );
        insta::assert_snapshot!(words.join("\n"), @"
        hq
        --output-mode=quiet
        submit
        --name=sweep-unfreeze
        --array=3,7,12-14
        --cpus=8
        --cwd=/home/me/study
        --stdout=/home/me/study/runs/unfreeze/hyperqueue/%{JOB_ID}_%{TASK_ID}.log
        --stderr=/home/me/study/runs/unfreeze/hyperqueue/%{JOB_ID}_%{TASK_ID}.log
        --crash-limit=10
        --resource=gpus/nvidia=1
        --resource=mem=16384
        --time-request=90m
        --time-limit=90m
        --
        bash
        /home/me/study/runs/unfreeze/hyperqueue/0001-task.sh
        ");
        for word in words.iter().filter(|word| word.starts_with("--") && word.contains('=')).skip(1) {
            assert!(KNOWN.contains(&word.split('=').next().unwrap()), "{word}");
        }
        insta::assert_snapshot!(task_script(&worker(), &launcher), @r#"
        #!/bin/bash
        export SWEEP_LEASE="${SWEEP_LEASE:-heartbeat}"
        exec /opt/sweep/bin/sweep worker --plan /home/me/study/runs/unfreeze/plan.jsonl --plan-digest 0123456789abcdef --runs /home/me/study/runs --device auto --threads 8 --checkpoint-every 1m30s
        "#);
    }
}
