//! `extends`: a sweep file that builds on another, which it names by a path relative to its own.
//!
//! What a file writes stands in the place of what its base says, setting by setting and key by key; a list is replaced as
//! a whole. The name alone is not passed on: another file is another sweep.

use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::overrides::replace;
use super::position;
use super::problem::{Place, Problem, SpecError, quoted};
use super::sweep::{Method, read as read_file};
use super::yaml::{self, Content, Node};

/// Files that build on one another, the first included. Who looks a setting up has to read them all.
const MOST_FILES: usize = 8;

pub(super) fn read(draft: &mut Draft, node: &Node) {
    match &node.content {
        Content::Text(path) if !path.is_empty() => draft.extends = Some((path.clone(), node.place.clone())),
        _ => {
            let message = format!("`extends` is {}; it must be the path of a sweep file", node.shown());
            draft.refuse(&node.place, message);
        }
    }
}

/// Lays the draft of a file over those of the files that it builds on, and returns their paths too, the nearest first.
///
/// # Errors
/// The problems of all files read, where one of them is not to be had: what it would have said is not missing.
pub(super) fn resolve(mut draft: Draft, file: &Path) -> Result<(Draft, Vec<PathBuf>), Vec<Problem>> {
    let mut chain = vec![canonical(file)];
    let mut bases = Vec::new();
    let mut above: Vec<Draft> = Vec::new();
    let mut current = file.to_owned();
    while let Some((name, place)) = draft.extends.take() {
        let path = current.parent().unwrap_or(Path::new("")).join(&name);
        let base = read_base(&path, &mut chain).map_err(|refused| {
            let problem = match refused {
                Refused::Here(message) => Problem::new(&place, message),
                Refused::There(problem) => problem,
            };
            let drafts = above.iter_mut().chain([&mut draft]);
            drafts.flat_map(|draft| std::mem::take(&mut draft.problems)).chain([problem]).collect::<Vec<_>>()
        })?;
        above.push(std::mem::replace(&mut draft, base));
        bases.push(path.clone());
        current = path;
    }
    let whole = above.into_iter().rev().fold(draft, |base, upper| upper.over(base));
    Ok((whole, bases))
}

/// Why a base is not used: what is wrong with the line that names it, or with itself.
enum Refused {
    Here(String),
    There(Problem),
}

fn read_base(path: &Path, chain: &mut Vec<PathBuf>) -> Result<Draft, Refused> {
    let shown = quoted(&path.display().to_string());
    let own = canonical(path);
    if chain.contains(&own) {
        return Err(Refused::Here(format!("`extends` goes in a circle: {shown} builds on this file")));
    }
    if chain.len() == MOST_FILES {
        return Err(Refused::Here(format!("`extends` goes through more than {MOST_FILES} files")));
    }
    chain.push(own);
    let bytes = read_file(path).map_err(|error| {
        let why = match error {
            SpecError::Read { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        Refused::Here(format!("{shown}, which `extends` names, cannot be read: {why}"))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Refused::Here(format!("{shown}, which `extends` names, is not UTF-8")))?;
    let there = |mut problem: Problem| {
        problem.place = problem.place.within(path);
        Refused::There(problem)
    };
    let mut root = yaml::parse(&text).map_err(there)?;
    position::map_places(&mut root, &|place: &Place| place.within(path));
    Draft::read(&root).map_err(there)
}

/// Two ways to the same file are one; of a file that is not there the path has to do.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl Draft {
    /// This draft, and what only the base says.
    fn over(self, base: Self) -> Self {
        let mut all = Self {
            extends: None,
            name: self.name,
            recipe: self.recipe.or(base.recipe),
            method: self.method.or(base.method),
            seeds: self.seeds.or(base.seeds),
            run_cap: self.run_cap.or(base.run_cap),
            search_seed: self.search_seed.or(base.search_seed),
            bayes: self.bayes.or(base.bayes),
            zipped: self.zipped.or(base.zipped),
            exclude: self.exclude.or(base.exclude),
            include: self.include.or(base.include),
            metric: self.metric.or(base.metric),
            data: self.data.or(base.data),
            references: base.references.into_iter().chain(self.references).collect(),
            early_terminate: self.early_terminate.or(base.early_terminate),
            on_failure: self.on_failure.or(base.on_failure),
            max_consecutive_failures: self.max_consecutive_failures.or(base.max_consecutive_failures),
            launcher: base.launcher.into_iter().chain(self.launcher).collect(),
            settings: base.settings,
            points: base.points,
            problems: base.problems.into_iter().chain(self.problems).collect(),
        };
        self.settings.into_iter().for_each(|choice| replace(&mut all, choice));
        // Another method has no use for them.
        let takes_points = matches!(all.method, Some((Method::List, _)));
        all.points = self.points.or(all.points.filter(|_| takes_points));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::sweep::{SweepSpec, load};

    /// Loads the first of these files. Messages name them without their folder.
    fn loaded(files: &[(&str, &str)], overrides: &[&str]) -> Result<SweepSpec, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let place = format!("{}/", folder.path().display());
        load(&folder.path().join(files[0].0), &overrides)
            .map_err(|error| error.to_string().replace(&place, ""))
    }

    const BASE: (&str, &str) = (
        "base.yaml",
        "name: base\nmodel: lab\nseeds: [0, 1]\nreferences: {zero_shot: false, nearest_image: false}\n\
         exclude: [{epochs: 2, learning_rate: 1e-4}]\n\
         parameters: {learning_rate: [1e-5, 1e-4], epochs: [2, 3]}\ntraining: {batch_size: 4}\n",
    );

    fn values(spec: &SweepSpec) -> Vec<String> {
        let line = |axis: &super::super::Axis| {
            let values: Vec<String> = axis.values.iter().map(ToString::to_string).collect();
            format!("{}={}", axis.setting.short_name(), values.join(","))
        };
        spec.axes.iter().map(line).collect()
    }

    #[test]
    fn what_a_file_writes_stands_in_the_place_of_what_its_base_says() {
        let upper = "extends: base.yaml\nparameters: {learning_rate: [1e-4, 1e-3], training.batch_size: [4, 8]}\n\
                     references: {zero_shot: true}\n";
        let spec = loaded(&[("upper.yaml", upper), BASE], &["epochs=2,4"]).unwrap();
        assert_eq!(values(&spec), ["learning_rate=0.0001,0.001", "epochs=2,4", "training.batch_size=4,8"]);
        assert_eq!((spec.name.as_str(), spec.seeds.as_slice()), ("upper", &[0, 1][..]));
        assert!(spec.references.zero_shot && !spec.references.nearest_image);
        assert_eq!(spec.exclude.len(), 1);
        let none =
            loaded(&[("upper.yaml", "extends: base.yaml\nexclude: []\nseeds: [5]"), BASE], &[]).unwrap();
        assert_eq!((none.exclude.len(), none.seeds), (0, vec![5]));
    }

    #[test]
    fn bases_have_bases_and_each_names_the_next_from_its_own_folder() {
        let files = [
            ("one.yaml", "extends: more/two.yaml\ntraining: {epochs: 7}\n"),
            ("more/two.yaml", "extends: ../base.yaml\nparameters: {epochs: [5, 6]}\n"),
            BASE,
        ];
        let spec = loaded(&files, &[]).unwrap();
        assert_eq!(values(&spec), ["learning_rate=0.00001,0.0001"]);
        assert_eq!((spec.base.training.epochs, spec.base.training.batch_size), (7, 4));
        assert!(spec.bases[0].ends_with("more/two.yaml") && spec.bases[1].ends_with("base.yaml"));
    }

    #[test]
    fn points_of_a_base_lose_what_is_set_anew() {
        let base = (
            "base.yaml",
            "model: lab\nmethod: list\npoints: [{epochs: 1}, {epochs: 2, learning_rate: 1e-4}]",
        );
        let spec = loaded(&[("x.yaml", "extends: base.yaml\ntraining: {epochs: 3}"), base], &[]).unwrap();
        assert_eq!(spec.points.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(spec.base.training.epochs, 3);
        let grid = loaded(&[("x.yaml", "extends: base.yaml\nmethod: grid"), base], &[]).unwrap();
        assert!(grid.points.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_of_the_file_that_has_it() {
        let base = ("base.yaml", "model: lab\ntraining:\n  epochs: -1\n");
        let refused = loaded(&[("x.yaml", "extends: base.yaml\nseed: 1"), base], &[]).unwrap_err();
        insta::assert_snapshot!(refused, @"
        x.yaml:2:1: unknown key `seed`; did you mean `seeds`?
        base.yaml:3:11: `training.epochs` is -1; it must be a whole number from 1 to 100000
        ");
        let broken = loaded(&[("x.yaml", "extends: base.yaml"), ("base.yaml", "model: [")], &[]).unwrap_err();
        insta::assert_snapshot!(broken, @"base.yaml:2:1: did not find expected node content");
        let empty = loaded(&[("x.yaml", "extends: base.yaml"), ("base.yaml", "")], &[]).unwrap_err();
        insta::assert_snapshot!(empty.lines().next().unwrap(), @"base.yaml: the file is empty");
        let gone = loaded(&[("x.yaml", "model: lab\nextends: gone.yaml")], &[]).unwrap_err();
        assert!(
            gone.starts_with("x.yaml:2:10: `gone.yaml`, which `extends` names, cannot be read: "),
            "{gone}"
        );
        insta::assert_snapshot!(loaded(&[("x.yaml", "model: lab\nextends: 3")], &[]).unwrap_err(), @"x.yaml:2:10: `extends` is 3; it must be the path of a sweep file");
    }

    #[test]
    fn circles_and_long_chains_are_refused() {
        let circle = [("x.yaml", "extends: y.yaml"), ("y.yaml", "model: lab\nextends: ./x.yaml")];
        insta::assert_snapshot!(loaded(&circle, &[]).unwrap_err(), @"y.yaml:2:10: `extends` goes in a circle: `./x.yaml` builds on this file");
        let names: Vec<String> = (0..10).map(|n| format!("{n}.yaml")).collect();
        let texts: Vec<String> = (1..11).map(|n| format!("model: lab\nextends: {n}.yaml")).collect();
        let files: Vec<(&str, &str)> =
            names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
        insta::assert_snapshot!(loaded(&files, &[]).unwrap_err(), @"7.yaml:2:10: `extends` goes through more than 8 files");
    }
}
