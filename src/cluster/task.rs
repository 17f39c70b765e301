//! One task of a job array: which runs are its own, and what becomes of it afterwards.

use std::ops::Range;

use super::ClusterError;
use super::array::{block, parse};
use super::ask::ask;
use crate::run::launcher::exit_code;
use crate::run::part::Done;
use crate::run::signals::Told;

/// Where schedulers put a task's index, in the order in which they are asked, and what is added to it.
const INDICES: [(&str, Option<&str>); 4] = [
    ("SWEEP_INDEX", None),
    ("SLURM_ARRAY_TASK_ID", Some("SWEEP_INDEX_OFFSET")),
    ("HQ_TASK_ID", None),
    ("JOB_COMPLETION_INDEX", None),
];

/// What the command line says of a task's index.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub index: Option<usize>,
    /// The task's index counts in this list, as `3,7,12-20`.
    pub indices: Option<String>,
    pub runs_per_task: usize,
}

/// The positions of the task's runs in a plan of so many.
///
/// # Errors
/// There is no index, or none that is one of the plan's.
pub fn positions(
    asked: &Asked,
    variable: impl Fn(&str) -> Option<String>,
    runs: usize,
) -> Result<Range<usize>, ClusterError> {
    let index = match asked.index {
        Some(index) => index,
        None => index_in(variable)?,
    };
    let index = match &asked.indices {
        None => index,
        Some(list) => {
            let list_of = parse(list).ok_or_else(|| {
                ClusterError(format!("`--indices {list}`: it must be a list such as `3,7,12-20`"))
            })?;
            let count = list_of.len();
            *list_of.get(index).ok_or_else(|| {
                ClusterError(format!(
                    "the task's index is {index}, and `--indices` has {count}, counted from 0"
                ))
            })?
        }
    };
    let positions = block(index, asked.runs_per_task, runs);
    if positions.is_empty() {
        return Err(ClusterError(format!(
            "the task's index is {index}, and the plan has {runs} runs, counted from 0"
        )));
    }
    Ok(positions)
}

fn index_in(variable: impl Fn(&str) -> Option<String>) -> Result<usize, ClusterError> {
    let number = |name: &str| {
        let Some(text) = variable(name) else { return Ok(None) };
        match text.trim().parse::<usize>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => {
                Err(ClusterError(format!("the variable {name} is `{text}`; it must be a whole number")))
            }
        }
    };
    for (name, offset) in INDICES {
        let Some(index) = number(name)? else { continue };
        let offset = offset.map_or(Ok(None), number)?.unwrap_or(0);
        return Ok(index.saturating_add(offset));
    }
    let names: Vec<&str> = INDICES.iter().map(|(name, _)| *name).collect();
    Err(ClusterError(format!(
        "no index: there is neither `--index` nor one of the variables {}\nhint: `--index N` works on the run in line N of \
         the plan, counted from 0",
        names.join(", ")
    )))
}

/// What a task comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub code: i32,
    /// It asks for another turn itself.
    pub is_requeued: bool,
}

/// What becomes of a task whose runs stand so, after so many restarts of at most so many.
pub fn end_of(done: Done, told: Told, restarts: u64, most: u64) -> End {
    let code = match done {
        Done { unfinished: 1.., .. } => exit_code::INTERRUPTED,
        Done { failed: 1.., .. } => exit_code::FAILED,
        _ => exit_code::DONE,
    };
    // Who was told to end is not wanted any more, or is put back by whoever said so.
    let is_requeued = code == exit_code::INTERRUPTED && told == Told::TimeIsUp && restarts < most;
    End { code, is_requeued }
}

/// Puts the task back into Slurm's queue, where it is one of an array of Slurm's.
pub fn requeue(variable: impl Fn(&str) -> Option<String>) -> Result<String, ClusterError> {
    let name =
        |name: &str| variable(name).ok_or_else(|| ClusterError(format!("there is no variable {name}")));
    // The first task's own number is that of the whole array: requeuing that would take the others along.
    let task = format!("{}_{}", name("SLURM_ARRAY_JOB_ID")?, name("SLURM_ARRAY_TASK_ID")?);
    let answer = ask("scontrol", &["requeue", &task], &[])?;
    if answer.is_success { Ok(task) } else { Err(ClusterError(format!("scontrol: {}", answer.complaint()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(asked: &Asked, variables: &[(&str, &str)]) -> Result<Range<usize>, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        positions(asked, variable, 2000).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_counts_first_and_then_each_scheduler_in_turn() {
        let mut variables = vec![
            ("SWEEP_INDEX", "1"),
            ("SLURM_ARRAY_TASK_ID", "2"),
            ("SWEEP_INDEX_OFFSET", "1001"),
            ("HQ_TASK_ID", "3"),
            ("JOB_COMPLETION_INDEX", "4"),
        ];
        let one = Asked { runs_per_task: 1, ..Asked::default() };
        assert_eq!(found(&Asked { index: Some(9), ..one.clone() }, &variables), Ok(9..10));
        assert_eq!(found(&one, &variables), Ok(1..2));
        variables.remove(0);
        // The offset is Slurm's alone.
        assert_eq!(found(&one, &variables), Ok(1003..1004));
        variables.remove(0);
        assert_eq!(found(&one, &variables), Ok(3..4));
        assert_eq!(found(&one, &variables[2..]), Ok(4..5));
        assert!(found(&one, &[]).unwrap_err().starts_with("no index: there is neither `--index` nor"));
    }

    #[test]
    fn an_index_may_count_in_a_list_and_stand_for_several_runs() {
        let asked = |indices: Option<&str>, runs_per_task| Asked {
            index: Some(2),
            indices: indices.map(str::to_owned),
            runs_per_task,
        };
        assert_eq!(found(&asked(None, 4), &[]), Ok(8..12));
        assert_eq!(found(&asked(Some("3,7,12-20"), 1), &[]), Ok(12..13));
        assert_eq!(found(&asked(Some("3,7,499"), 4), &[]), Ok(1996..2000));
        let wrong = |indices, per_task| found(&asked(indices, per_task), &[]).unwrap_err();
        assert_eq!(wrong(Some("1,2"), 1), "the task's index is 2, and `--indices` has 2, counted from 0");
        assert_eq!(wrong(Some("1;2"), 1), "`--indices 1;2`: it must be a list such as `3,7,12-20`");
        assert_eq!(
            wrong(Some("1,2,500"), 4),
            "the task's index is 500, and the plan has 2000 runs, counted from 0"
        );
        let error = found(&Asked::default(), &[("HQ_TASK_ID", "x")]).unwrap_err();
        assert_eq!(error, "the variable HQ_TASK_ID is `x`; it must be a whole number");
    }

    #[test]
    fn only_a_task_that_is_out_of_time_asks_for_another_turn_and_not_without_end() {
        let end = |complete, unfinished, failed, told, restarts| {
            let end = end_of(Done { complete, unfinished, failed }, told, restarts, 3);
            (end.code, end.is_requeued)
        };
        assert_eq!(end(2, 0, 0, Told::TimeIsUp, 0), (0, false), "it came to its end in time");
        assert_eq!(end(1, 1, 0, Told::TimeIsUp, 0), (75, true));
        assert_eq!(end(0, 1, 1, Told::TimeIsUp, 2), (75, true));
        assert_eq!(end(0, 1, 1, Told::TimeIsUp, 3), (75, false));
        assert_eq!(end(0, 1, 0, Told::End, 0), (75, false), "cancelled");
        assert_eq!(end(0, 1, 0, Told::Nothing, 0), (75, false), "its worker was killed");
        assert_eq!(end(1, 0, 1, Told::TimeIsUp, 0), (42, false));
        assert_eq!(end(1, 0, 0, Told::Nothing, 0), (0, false));
    }

    #[test]
    fn what_is_no_task_of_an_array_is_not_put_back() {
        let only_a_job = |name: &str| (name == "SLURM_ARRAY_JOB_ID").then(|| "7".to_owned());
        assert_eq!(requeue(only_a_job).unwrap_err().to_string(), "there is no variable SLURM_ARRAY_TASK_ID");
    }
}
