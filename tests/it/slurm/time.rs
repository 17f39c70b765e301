//! Slurm's own clock: a task that takes longer than it may.

use sweep::run::lease;

use super::{Cluster, TWO_RUNS, finished_to_the_bit, json_lines, submissions, wait_for_event, wait_until};
use crate::end_to_end;
use crate::stopping::{last_event, signal};

/// Slurm's finest limit is a minute, and it looks at its clock every half minute: with 5 s for the checkpoint it tells the
/// task after 25 to 55 s. The run would be done by then on any machine, and is held up until it is told, by stopping its
/// process; nobody but Slurm sends the signal that lets it save.
#[test]
fn a_run_that_takes_longer_than_its_task_may_is_told_by_slurm_goes_back_into_the_queue_and_resumes_to_the_bit()
 {
    let Some(cluster) = Cluster::start(1001) else { return };
    let workdir = end_to_end::prepared();
    let local = workdir.sweep(&format!("run {TWO_RUNS} --runs local --threads 1 --jobs 2 --no-preflight"));
    assert!(local.starts_with("exit 0\n"), "{local}");
    let limits = "--timeout-min 1 --signal-delay-s 5 --max-requeues 1";
    let shown = cluster.sweep(&workdir, &format!("submit {TWO_RUNS} --to slurm --no-report {limits}"));
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let sweep = workdir.path().join("runs/small");
    let plan = json_lines(&sweep.join("plan.jsonl"));
    let run = sweep.join(plan[0]["id"].as_str().unwrap());
    let job = submissions(&sweep)[0]["job"].as_str().unwrap().to_owned();
    wait_for_event(&run, "evaluated");
    let worker = lease::holder(&run).expect("a worker").pid;
    signal("-STOP", worker);
    wait_until("Slurm's signal", || cluster.logs(&sweep).contains("1 run saves a checkpoint and ends"));
    signal("-CONT", worker);
    cluster.wait_until_idle();
    let logs = cluster.logs(&sweep);
    assert!(logs.contains(&format!("out of time: task {job}_0 goes back into the queue")), "{logs}");
    assert!(!logs.contains("DUE TO TIME LIMIT"), "it had to be killed\n{logs}");
    assert_eq!(last_event(&run)["attempt"], 2, "{logs}");
    finished_to_the_bit(&cluster, &workdir);
}
