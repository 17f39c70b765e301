//! Why `sbatch` did not take an array, and what to do about it. Pure.

use std::path::Path;

use super::ClusterError;
use super::ask::NO_ANSWER;
use super::submit::Submitted;

/// What Slurm's names of limits on submitted jobs have in common: AssocMaxSubmitJobLimit, AssocGrpSubmitJobsLimit,
/// QOSMaxSubmitJobPerUserLimit, QOSMaxSubmitJobPerAccountLimit, QOSGrpSubmitJobsLimit.
const SUBMIT_LIMIT: &str = "SubmitJob";

/// Why an array is not in the queue, what is, and what to do about it.
pub fn refused(script: &Path, name: &str, refusal: &ClusterError, before: &Submitted) -> ClusterError {
    let complaint = refusal.to_string();
    let taken = match before.jobs.as_slice() {
        [] => String::new(),
        jobs => format!(
            "; {} tasks are in the queue and written down (job {}), and `sweep submit` again hands over the rest",
            before.tasks,
            jobs.join(", ")
        ),
    };
    let hint = if complaint.contains(SUBMIT_LIMIT) {
        "this is the limit on what you may have in the queue, where every task counts: `--runs-per-task N` makes fewer of \
         the same runs, and jobs of yours that end make room (`sacctmgr show assoc user=$USER \
         format=account,qos,maxsubmitjobs` and `sacctmgr show qos format=name,maxsubmitjobsperuser` tell the limits)"
            .to_owned()
    } else if complaint.contains(NO_ANSWER) {
        format!(
            "whether it took the job, whose name is {name}, is not known: `sweep status` and `sweep submit` again find it if it \
             did, and `sweep cancel` takes it back"
        )
    } else {
        format!(
            "mend what it complains of, in `launcher:` of the sweep file or by a flag; {} is what it was given",
            script.display()
        )
    };
    ClusterError(format!("sbatch refuses {}: {complaint}{taken}\nhint: {hint}", script.display()))
}

/// Slurm's complaints without its name before each, the cause first.
pub fn in_a_line(complaint: &str) -> String {
    let lines = complaint.lines().map(|line| {
        let line = line.trim();
        line.strip_prefix("sbatch: error: ").or(line.strip_prefix("sbatch: ")).unwrap_or(line)
    });
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(complaint: &str, before: &Submitted) -> String {
        let refusal = ClusterError(in_a_line(complaint));
        refused(Path::new("runs/x/slurm/0002.sh"), "sweep-x-0a1b2c", &refusal, before).to_string()
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do_about_it() {
        let limit = "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates \
                     accounting/QOS policy (job submit limit, user's size and/or time limits)\n";
        let before =
            Submitted { jobs: vec!["12".to_owned(), "13".to_owned()], tasks: 2002, ..Submitted::default() };
        insta::assert_snapshot!(refusal(limit, &before), @"
        sbatch refuses runs/x/slurm/0002.sh: AssocMaxSubmitJobLimit; Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits); 2002 tasks are in the queue and written down (job 12, 13), and `sweep submit` again hands over the rest
        hint: this is the limit on what you may have in the queue, where every task counts: `--runs-per-task N` makes fewer of the same runs, and jobs of yours that end make room (`sacctmgr show assoc user=$USER format=account,qos,maxsubmitjobs` and `sacctmgr show qos format=name,maxsubmitjobsperuser` tell the limits)
        ");
        insta::assert_snapshot!(refusal("sbatch: error: invalid partition specified: x\n", &Submitted::default()), @"
            sbatch refuses runs/x/slurm/0002.sh: invalid partition specified: x
            hint: mend what it complains of, in `launcher:` of the sweep file or by a flag; runs/x/slurm/0002.sh is what it was given
            ");
        for name in ["QOSMaxSubmitJobPerUserLimit", "AssocGrpSubmitJobsLimit", "QOSGrpSubmitJobsLimit"] {
            assert!(
                refusal(name, &before).contains("hint: this is the limit on what you may have in the queue"),
                "{name}"
            );
        }
        let silent = refusal("`sbatch` does not answer within 60 s", &Submitted::default());
        assert!(
            silent.ends_with(
                "whose name is sweep-x-0a1b2c, is not known: `sweep status` and `sweep submit` again find it if it did, and \
                 `sweep cancel` takes it back"
            ),
            "{silent}"
        );
    }
}
