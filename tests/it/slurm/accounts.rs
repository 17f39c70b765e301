//! A Slurm with accounts (slurmdbd): what tasks came to that the controller has forgotten, and limits on what may be submitted.

use std::fs;

use serde_json::Value;
use sweep::run::lease;

use super::{Cluster, json_lines, submissions, wait_for_event, wait_until};
use crate::end_to_end;
use crate::stopping::signal;
use crate::toy::{self, records};
use crate::workdir::Workdir;

const SIX_RUNS: &str = "small.yaml unfrozen_vision_layers=1 vision_lr_multiplier=1.0 seeds=0,1,2,3,4,5 epochs=12 patience=0 \
    references.zero_shot=false references.constant_caption=false references.nearest_image=false references.matched_length=false \
    simple_models=false";

/// How a run stands, and how its task does.
fn words(run: &Value) -> String {
    let task = &run["scheduler"];
    let task =
        task["state"].as_str().map(|state| format!(", task {} {state}", task["task"].as_str().unwrap()));
    format!("{}{}", run["state"].as_str().unwrap(), task.unwrap_or_default())
}

/// Every way in which a task ends that Slurm can tell of, at once: the limit of a minute is what this takes.
#[test]
fn what_became_of_tasks_is_known_from_the_accounts_when_the_controller_has_forgotten_them() {
    let Some(cluster) = Cluster::start_with_accounts(1001) else { return };
    let workdir = end_to_end::prepared();
    let limits = "--timeout-min 1 --signal-delay-s 1 --max-requeues 0";
    let shown = cluster.sweep(&workdir, &format!("submit {SIX_RUNS} --to slurm --no-report {limits}"));
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let sweep = workdir.path().join("runs/small");
    let plan = json_lines(&sweep.join("plan.jsonl"));
    let run = |position: usize| sweep.join(plan[position]["id"].as_str().unwrap());
    let job = submissions(&sweep)[0]["job"].as_str().unwrap().to_owned();
    let task = |index: usize| format!("{job}_{index}");
    // Four at a time; the last is cancelled before its turn.
    cluster.slurm(&format!("scancel {}", task(5)));
    for position in [0, 1, 2, 3] {
        wait_for_event(&run(position), "evaluated");
    }
    // The first hangs, and so does whoever watches over it: nobody hears that the time is up, and Slurm ends both.
    let worker = lease::holder(&run(0)).expect("a worker").pid;
    let stat = fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let parent = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    signal("-STOP", parent);
    signal("-STOP", worker);
    // Of the others one loses its node, and may not be put back; one is killed, one cancelled at work.
    let here = cluster.node_of(&task(0));
    let mut others = [1, 2, 3];
    others.sort_by_key(|index| cluster.node_of(&task(*index)) == here);
    let [lost, killed, cancelled] = others;
    let node = cluster.node_of(&task(lost));
    assert_ne!(node, here, "four tasks are more than a node takes");
    cluster.slurm(&format!("scontrol update jobid={} requeue=0", task(lost)));
    cluster.slurm(&format!("scancel --signal=KILL {}", task(killed)));
    cluster.slurm(&format!("scancel {}", task(cancelled)));
    let at_work = || cluster.slurm("squeue --noheader --array --format=%i/ --states=running,completing");
    let is_over =
        |indices: &[usize]| !indices.iter().any(|index| at_work().contains(&format!("{}/", task(*index))));
    wait_until("the end of both", || is_over(&[killed, cancelled]));
    cluster.slurm(&format!("scontrol update nodename={node} state=down reason=test"));
    wait_until("the lost task", || is_over(&[lost]));
    cluster.slurm(&format!("scontrol update nodename={node} state=resume"));
    cluster.wait_until_idle();
    // The controller forgets what has ended after 5 s; the accounts do not.
    wait_until("the controller has forgotten", || {
        cluster.slurm("squeue --noheader --states=all").trim().is_empty()
    });
    let seen = || cluster.status(&workdir).iter().map(words).collect::<Vec<_>>();
    let states = seen();
    let said =
        cluster.slurm("sacct --allocations --parsable2 --noheader --format=JobID,State,ExitCode,JobName");
    let over = |index: usize, state: &str| {
        assert_eq!(states[index], format!("interrupted, task {} {state}", task(index)), "{states:?}\n{said}");
    };
    over(0, "TIMEOUT");
    over(lost, "NODE_FAIL");
    over(killed, "CANCELLED");
    over(cancelled, "CANCELLED");
    assert_eq!(states[4], "done", "{states:?}\n{said}");
    // Of a task that never had its turn there are no accounts.
    assert_eq!(states[5], "waiting", "{states:?}\n{said}");
    let shown = cluster.sweep(&workdir, "status");
    assert!(shown.contains("6 runs: 1 done, 4 interrupted, 1 waiting"), "{shown}");

    // A line of a job whose number is another's by now says nothing, and what is missing is handed over again.
    let list = sweep.join("slurm/submissions.jsonl");
    let foreign = cluster.slurm("sbatch --parsable --output=/dev/null --wrap=false").trim().to_owned();
    let lines = fs::read_to_string(&list).unwrap();
    let number = |job: &str| format!("\"job\":\"{job}\"");
    fs::write(&list, lines.replace(&number(&job), &number(&foreign))).unwrap();
    cluster.wait_until_idle();
    assert!(seen().iter().all(|state| !state.contains("task")), "{:?}", seen());
    let again = cluster.sweep(&workdir, &format!("submit {SIX_RUNS} --to slurm --no-report"));
    assert!(again.contains("5 runs in 5 tasks"), "{again}");
    assert!(cluster.sweep(&workdir, "cancel runs/small").contains("runs/small: cancelled: "));

    // A task that fails before its run begins: only Slurm knows.
    fs::remove_dir_all(workdir.path().join("runs")).unwrap();
    let unset = "--node-cache-dir $NOWHERE_SET/x --runs-per-task 6";
    let shown = cluster.sweep(&workdir, &format!("submit {SIX_RUNS} --to slurm --no-report {unset}"));
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let job = submissions(&sweep)[0]["job"].as_str().unwrap().to_owned();
    cluster.wait_until_idle();
    wait_until("the accounts have it", || seen().iter().all(|state| state.starts_with("failed")));
    assert!(seen().iter().all(|state| *state == format!("failed, task {job}_0 FAILED")), "{:?}", seen());
    let shown = cluster.sweep(&workdir, "status");
    assert!(
        shown.contains(&format!("failed: Slurm: FAILED (task {job}_0)\n  runs/small/slurm/{job}_0.log\n")),
        "{shown}"
    );
}

/// The limit on what a user may have in the queue, as the accounts have it.
fn limit(cluster: &Cluster, most: i32) {
    cluster.slurm(&format!("sacctmgr --immediate modify user root set MaxSubmitJobs={most}"));
}

fn is_whole(workdir: &Workdir) -> bool {
    let runs = records(&workdir.path().join("runs"), toy::NAME);
    runs.iter().all(|run| run.status.is_some_and(|end| end.is_complete()))
}

#[test]
fn a_limit_on_what_may_be_submitted_is_told_with_its_remedy_and_what_was_taken_is_written_down() {
    let Some(cluster) = Cluster::start_with_accounts(3) else { return };
    let workdir = toy::prepared();
    let list = workdir.path().join("runs/toy/slurm/submissions.jsonl");
    limit(&cluster, 2);
    let refused = cluster.sweep(&workdir, "submit toy.yaml --to slurm");
    assert!(refused.starts_with("exit 2\n"), "{refused}");
    for words in [
        "error: sbatch refuses runs/toy/slurm/0001.sh: AssocMaxSubmitJobLimit",
        "hint: this is the limit on what you may",
    ] {
        assert!(refused.contains(words), "{refused}");
    }
    assert!(!list.exists() && cluster.is_idle(), "{refused}");
    // Of arrays of three and two tasks the first is taken.
    limit(&cluster, 4);
    let half = cluster.sweep(&workdir, "submit toy.yaml --to slurm");
    let job = submissions(&workdir.path().join("runs/toy"))[0]["job"].as_str().unwrap().to_owned();
    assert!(half.starts_with("exit 2\n"), "{half}");
    assert!(half.contains(&format!("; 3 tasks are in the queue and written down (job {job})")), "{half}");
    assert_eq!(submissions(&workdir.path().join("runs/toy")).len(), 1);
    cluster.wait_until_idle();
    let rest = cluster.sweep(&workdir, "submit toy.yaml --to slurm --runs-per-task 2 --no-report");
    assert!(rest.starts_with("exit 0\n") && rest.contains("2 runs in 2 tasks"), "{rest}");
    cluster.wait_until_idle();
    assert!(is_whole(&workdir), "{}", cluster.sweep(&workdir, "status"));
    // The runs are what matters: that there is no room for the report is no failure.
    limit(&cluster, 3);
    fs::remove_dir_all(workdir.path().join("runs/toy")).unwrap();
    let without = cluster.sweep(&workdir, "submit toy.yaml --to slurm --runs-per-task 2");
    assert!(without.starts_with("exit 0\n"), "{without}");
    assert!(without.contains("warning: no job reports behind the runs: AssocMaxSubmitJobLimit"), "{without}");
    cluster.wait_until_idle();
    assert!(is_whole(&workdir), "{}", cluster.sweep(&workdir, "status"));
}
