//! Lists of indices as job arrays have them: `3,7,12-20`. Pure.

use std::ops::RangeInclusive;

/// The tasks of one array: their indices, which a cluster may bound, and what to add to each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub offset: usize,
    /// Ascending, from 0.
    pub indices: Vec<usize>,
}

/// Positions of the plan, in blocks of `per_task`: a task does a whole block, and passes over those of its runs that need
/// nothing. Blocks do not depend on what is missing, so that a task's index means the same runs whenever it is submitted.
pub fn blocks(positions: &[usize], per_task: usize) -> Vec<usize> {
    let mut blocks: Vec<usize> = positions.iter().map(|position| position / per_task.max(1)).collect();
    blocks.sort_unstable();
    blocks.dedup();
    blocks
}

/// The positions of a block in a plan of so many runs.
pub fn block(index: usize, per_task: usize, runs: usize) -> std::ops::Range<usize> {
    let first = index.saturating_mul(per_task.max(1)).min(runs);
    first..first.saturating_add(per_task.max(1)).min(runs)
}

/// Tasks as arrays whose indices are below `most`, as Slurm's `MaxArraySize` demands. Tasks ascend.
pub fn chunks(tasks: &[usize], most: usize) -> Vec<Chunk> {
    let most = most.max(1);
    tasks
        .chunk_by(|one, next| one / most == next / most)
        .map(|tasks| {
            let offset = tasks[0] / most * most;
            Chunk { offset, indices: tasks.iter().map(|task| task - offset).collect() }
        })
        .collect()
}

/// Ascending indices as a list of numbers and ranges.
pub fn compact(indices: &[usize]) -> String {
    let ranges = indices.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
        [first, .., last] if range.len() > 2 => format!("{first}-{last}"),
        few => few.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    });
    ranges.collect::<Vec<_>>().join(",")
}

/// No plan has as many runs.
pub const MOST: usize = 10_000_000;

/// Reads such a list; also with steps (`0-10:2`) and a bound on tasks at a time (`%4`), as schedulers show it.
pub fn parse(text: &str) -> Option<Vec<usize>> {
    let text = text.split('%').next().unwrap_or_default().trim();
    let mut indices = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last, step) = (first.parse().ok()?, last.parse().ok()?, step.parse::<usize>().ok()?);
        let range: RangeInclusive<usize> = first..=last;
        if step == 0 || indices.len() + last.saturating_sub(first) / step >= MOST {
            return None;
        }
        indices.extend(range.step_by(step));
    }
    Some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_short_and_read_back() {
        let lists: [(&[usize], &str); 5] = [
            (&[3, 7, 12, 13, 14, 15], "3,7,12-15"),
            (&[0, 1], "0,1"),
            (&[0, 1, 2], "0-2"),
            (&[5], "5"),
            (&[0, 2, 3, 4, 9], "0,2-4,9"),
        ];
        for (indices, text) in lists {
            assert_eq!(compact(indices), text);
            assert_eq!(parse(text).as_deref(), Some(indices));
        }
        assert_eq!(parse("0-6:3,9%4"), Some(vec![0, 3, 6, 9]));
        for text in ["", "x", "1-", "-2", "1-9:0", "1,,2", "0-99999999999", "1.5"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_list_reads_back(set in proptest::collection::btree_set(0usize..3000, 1..60), most in 1usize..1500) {
            let indices: Vec<usize> = set.into_iter().collect();
            proptest::prop_assert_eq!(parse(&compact(&indices)), Some(indices.clone()));
            let chunks = chunks(&indices, most);
            let whole: Vec<usize> =
                chunks.iter().flat_map(|chunk| chunk.indices.iter().map(|index| index + chunk.offset)).collect();
            proptest::prop_assert_eq!(whole, indices);
            proptest::prop_assert!(chunks.iter().all(|chunk| chunk.indices.iter().all(|index| *index < most)));
        }
    }

    #[test]
    fn arrays_are_split_where_the_cluster_has_no_larger_index() {
        let chunk = |offset, indices: &[usize]| Chunk { offset, indices: indices.to_vec() };
        assert_eq!(chunks(&[0, 5, 9, 10, 31], 10), [chunk(0, &[0, 5, 9]), chunk(10, &[0]), chunk(30, &[1])]);
        assert_eq!(chunks(&[], 10), []);
    }

    #[test]
    fn a_task_of_several_runs_has_the_same_runs_whatever_is_missing() {
        assert_eq!(blocks(&[0, 1, 2, 9, 4], 3), [0, 1, 3]);
        assert_eq!(blocks(&[7, 3], 1), [3, 7]);
        assert_eq!((block(3, 3, 10), block(0, 3, 10), block(9, 3, 10)), (9..10, 0..3, 10..10));
    }
}
