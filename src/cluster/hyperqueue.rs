//! What HyperQueue is told: one `hq submit` of a task array. Pure.
//!
//! Options are those of HyperQueue's documentation ("Jobs and tasks", "Task arrays", "Resource management"), version 0.18 to
//! 0.27, and were tried on 0.26: lists of ids may be `3,7,12-20`, durations are humantime's, and `--output-mode=quiet` prints
//! a job's number alone.

use std::path::Path;

use super::array::compact;
use super::command::{Worker, quoted, shown};
use crate::record::submissions::Submission;
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

/// Which of these jobs are among those that `hq --output-mode=quiet job list` names, a line each: `3 RUNNING`. Without
/// `--all` it names those that have not ended.
pub fn still_active(said: &str, jobs: &[Submission]) -> Vec<String> {
    let active: Vec<&str> = said.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let is_active = |job: &&Submission| active.contains(&job.job.as_str());
    jobs.iter().filter(is_active).map(|job| job.job.clone()).collect()
}

/// The command as one line of a shell.
pub fn in_a_line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::worker;
    use super::*;

    #[test]
    fn only_jobs_that_have_not_ended_are_active() {
        let job = |number: &str| Submission::new(String::new(), number.to_owned(), "sweep-x".to_owned());
        let jobs = [job("1"), job("3"), job("12")];
        assert_eq!(still_active("3 RUNNING\n2 WAITING\n12 WAITING\n", &jobs), ["3", "12"]);
        assert_eq!(still_active("\n", &jobs), [""; 0]);
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
