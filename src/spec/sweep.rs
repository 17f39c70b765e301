//! A whole sweep as its file describes it: [`SweepSpec`], and reading one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bayes::Bayes;
use super::condition::{self, Condition};
use super::constraints::{self, Pattern};
use super::draft::Draft;
use super::early_terminate::EarlyTerminate;
use super::failures::OnFailure;
use super::launcher::{self, Launcher};
use super::parameter::Choice;
use super::preset::Preset;
use super::problem::{Place, Problem, SpecError, quoted};
use super::setting::Setting;
use super::{bayes, extends, limits, overrides, search, yaml};
use crate::record::recipe::{DataSource, Kind, MetricName};
use crate::record::{Recipe, bounded};

/// What to run: a base recipe, and what varies around it.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepSpec {
    /// Names the sweep's folders.
    pub name: String,
    /// The recipe that the sweep starts from.
    pub preset: Preset,
    /// The preset with everything laid over it that does not vary.
    pub base: Recipe,
    /// Where the settings were written that the preset does not decide, by dotted path.
    pub written: BTreeMap<&'static str, Place>,
    pub method: Method,
    /// Replications of every point; not empty, without duplicates.
    pub seeds: Vec<u64>,
    /// What ranks the runs. It also chooses the best epoch unless `early_stopping.metric` says otherwise.
    pub metric: MetricName,
    /// Settings that take several values each, in the order written.
    pub axes: Vec<Axis>,
    /// The points of `method: list` and `method: random`, each crossed with the axes, and the first of `method: bayes`;
    /// empty for a grid.
    pub points: Vec<Vec<(&'static Setting, Value)>>,
    /// Axes that vary together, by their settings; all of a group are as long.
    pub zipped: Vec<Vec<&'static Setting>>,
    /// Settings that vary only where others have given values, each after those that it depends on.
    pub conditions: Vec<Condition>,
    /// Combinations that are left out.
    pub exclude: Vec<Pattern>,
    /// Combinations that are added, each crossed with the axes that it does not name.
    pub include: Vec<Pattern>,
    /// At most so many combinations are run, the first ones, and those included.
    pub run_cap: Option<usize>,
    /// What the points after the first are chosen from, for `method: bayes`.
    pub search: Option<Bayes>,
    pub references: References,
    /// Which points are stopped in favour of better ones.
    pub early_terminate: Option<EarlyTerminate>,
    /// What becomes of the other runs when one fails, where the file says so.
    pub on_failure: Option<OnFailure>,
    /// After how many failures in a row no other run starts, where the file says so; 0 is never.
    pub max_consecutive_failures: Option<usize>,
    /// What a cluster is asked for; it changes no run.
    pub launcher: Launcher,
    /// The files that the sweep file builds on, the nearest first.
    pub bases: Vec<PathBuf>,
}

/// A setting and the values it takes, as written: at least two, but for one that has a [`Condition`].
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub setting: &'static Setting,
    pub values: Vec<Value>,
}

/// How points are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every combination of the parameters' values.
    Grid,
    /// The points written out, each with every combination of the parameters' values.
    List,
    /// Points drawn from the parameters' values and ranges.
    Random,
    /// Points chosen in rounds, by the results of those before.
    Bayes,
}

impl Method {
    pub(super) const NAMES: [(&'static str, Self); 4] =
        [("grid", Self::Grid), ("list", Self::List), ("random", Self::Random), ("bayes", Self::Bayes)];
}

/// The reference runs that a plan contains besides its fine-tuned ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct References {
    pub zero_shot: bool,
    pub constant_caption: bool,
    pub nearest_image: bool,
    /// Models that are trained from nothing on frozen features.
    pub simple_models: bool,
    pub matched_length: bool,
    pub shuffled_captions: bool,
}

impl Default for References {
    fn default() -> Self {
        Self {
            zero_shot: true,
            constant_caption: true,
            nearest_image: true,
            simple_models: true,
            matched_length: true,
            // The only one that fine-tunes: it costs about as much as a run of the sweep.
            shuffled_captions: false,
        }
    }
}

impl References {
    pub(super) const NAMES: [&'static str; 6] = [
        "zero_shot",
        "constant_caption",
        "nearest_image",
        "simple_models",
        "matched_length",
        "shuffled_captions",
    ];

    /// These, but for what the switches say.
    fn switched(mut self, switches: &BTreeMap<String, bool>) -> Self {
        for (name, is_wanted) in switches {
            if let Some(switch) = self.switch(name) {
                *switch = *is_wanted;
            }
        }
        self
    }

    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "zero_shot" => Some(&mut self.zero_shot),
            "constant_caption" => Some(&mut self.constant_caption),
            "nearest_image" => Some(&mut self.nearest_image),
            "simple_models" => Some(&mut self.simple_models),
            "matched_length" => Some(&mut self.matched_length),
            "shuffled_captions" => Some(&mut self.shuffled_captions),
            _ => None,
        }
    }

    /// Whether runs of this kind are wanted; fine-tuned ones always are.
    pub fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::FineTuned => true,
            Kind::ZeroShot => self.zero_shot,
            Kind::ConstantCaption => self.constant_caption,
            Kind::NearestImage => self.nearest_image,
            Kind::SmallDecoder => self.simple_models,
            Kind::MatchedLength => self.matched_length,
            Kind::ShuffledCaptions => self.shuffled_captions,
        }
    }
}

/// Reads a sweep file and lays the command line's overrides over it.
pub fn load(path: &Path, overrides: &[String]) -> Result<SweepSpec, SpecError> {
    parse_bytes(read(path)?, path, overrides)
}

/// The bytes of a sweep file, and no more than one byte beyond the longest there is.
pub fn read(path: &Path) -> Result<Vec<u8>, SpecError> {
    let failure = |source| SpecError::Read { path: path.to_owned(), source };
    bounded::check_regular(path).map_err(failure)?;
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there are more.
    let limit = yaml::MAX_BYTES as u64 + 1;
    File::open(path).map_err(failure)?.take(limit).read_to_end(&mut bytes).map_err(failure)?;
    Ok(bytes)
}

/// As [`load`], of bytes that were [`read`].
pub fn parse_bytes(bytes: Vec<u8>, path: &Path, overrides: &[String]) -> Result<SweepSpec, SpecError> {
    let file = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text, &file, overrides),
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let problem = Problem::new(&Place::FILE, format!("the file is not UTF-8 (byte {offset})"));
            Err(SpecError::Invalid { file, problems: vec![problem] })
        }
    }
}

/// Reads the text of a sweep file. `file` is its path as shown in messages; its stem names a sweep that has
/// no `name`.
pub fn parse(text: &str, file: &str, overrides: &[String]) -> Result<SweepSpec, SpecError> {
    let invalid = |problems| SpecError::Invalid { file: file.to_owned(), problems };
    // What is not a mapping has no keys: complaints about missing ones would only hide why.
    let root = yaml::parse(text).map_err(|problem| invalid(vec![problem]))?;
    let draft = Draft::read(&root).map_err(|problem| invalid(vec![problem]))?;
    let (mut draft, bases) = extends::resolve(draft, Path::new(file)).map_err(invalid)?;
    overrides.iter().for_each(|text| overrides::apply(&mut draft, text));
    let spec = assemble(&mut draft, file).map(|spec| SweepSpec { bases, ..spec });
    let mut problems = draft.problems;
    problems.sort_by_key(|problem| problem.place.rank());
    problems.dedup();
    match spec {
        Some(spec) if problems.is_empty() => Ok(spec),
        _ => Err(invalid(problems)),
    }
}

/// Puts the parts together. `None` has left a problem in the draft.
fn assemble(draft: &mut Draft, file: &str) -> Option<SweepSpec> {
    let name = sweep_name(draft, file);
    bayes::refuse_others(draft);
    let mut points = take_points(draft);
    let zipped = constraints::zipped(draft);
    let conditions = condition::take(draft);
    let include = constraints::included(draft, &zipped);
    let drawn = search::points(draft);
    points.extend(drawn.points);
    let preset = draft.recipe.unwrap_or(Preset::Corrected);
    let mut base = preset.recipe();
    let mut written = BTreeMap::new();
    if let Some((metric, place)) = &draft.metric {
        base.early_stopping.metric = *metric;
        written.insert("early_stopping.metric", place.clone());
    }
    // Of a setting in several points the first place counts.
    for choice in points.iter().chain(&include).flatten() {
        written.entry(choice.setting.path).or_insert_with(|| choice.place.clone());
    }
    written.extend(draft.settings.iter().map(|choice| (choice.setting.path, choice.place.clone())));
    let elsewhere =
        conditions.iter().filter_map(|(setting, when)| Some((*setting, when.otherwise.as_ref()?)));
    // For an axis this is its first value, which every point replaces.
    let everywhere = draft.settings.iter().filter(|choice| choice.when.is_none());
    let everywhere = everywhere.filter_map(|choice| Some((choice.setting, choice.values.first()?)));
    for (setting, (value, place)) in elsewhere.chain(everywhere) {
        if let Err(error) = setting.write(&mut base, value) {
            draft.problems.push(Problem::new(place, format!("`{}`: {error}", setting.path)));
        }
    }
    let all: Vec<&Choice> = points.iter().chain(&include).flatten().collect();
    set_data(draft, &mut base, &all);
    limits::check(&base, &draft.settings, &points, &mut draft.problems);
    if drawn.search.is_some() {
        // Any value may come to stand beside any other.
        let all: Vec<Choice> = drawn.varying.iter().chain(&draft.settings).cloned().collect();
        limits::check(&base, &all, &[], &mut draft.problems);
    }
    if draft.early_terminate.flatten().is_some() {
        limits::check_rungs(&base, &draft.settings, &points, &mut draft.problems);
    }
    if !include.is_empty() {
        limits::check(&base, &draft.settings, &include, &mut draft.problems);
    }

    let value = |choice: &Choice| choice.values.first().map(|(value, _)| (choice.setting, value.clone()));
    let values = |choice: &Choice| {
        (choice.setting, choice.values.iter().map(|(value, _)| value.clone()).collect::<Vec<Value>>())
    };
    let axes = draft.settings.iter().filter(|choice| choice.varies()).map(|choice| {
        let (setting, values) = values(choice);
        Axis { setting, values }
    });
    Some(SweepSpec {
        name: name?,
        method: draft.method.as_ref().map_or(Method::Grid, |(method, _)| *method),
        seeds: draft.seeds.clone().unwrap_or_else(|| vec![0]),
        metric: draft.metric.as_ref().map_or(base.early_stopping.metric, |(metric, _)| *metric),
        axes: axes.collect(),
        points: points.iter().map(|point| point.iter().filter_map(value).collect()).collect(),
        zipped,
        conditions: conditions
            .into_iter()
            .map(|(setting, when)| Condition { setting, when: when.pattern, otherwise: setting.read(&base) })
            .collect(),
        exclude: draft.exclude.take().unwrap_or_default(),
        include: include.iter().map(|line| line.iter().map(values).collect()).collect(),
        run_cap: draft.run_cap,
        search: drawn.search,
        references: References::default().switched(&draft.references),
        early_terminate: draft.early_terminate.flatten(),
        on_failure: draft.on_failure,
        max_consecutive_failures: draft.max_consecutive_failures,
        launcher: launcher::assembled(&draft.launcher),
        bases: Vec::new(),
        preset,
        base,
        written,
    })
}

/// The sweep's name, which becomes a folder's.
fn sweep_name(draft: &mut Draft, file: &str) -> Option<String> {
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let (name, place) = draft.name.clone().unwrap_or((stem.unwrap_or_default(), Place::FILE));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.chars().all(fits)
    {
        return Some(name);
    }
    let message = format!("the sweep's name {} cannot name a folder", quoted(&name));
    let hint = "`name:` takes up to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or digit";
    draft.problems.push(Problem::new(&place, message).hint(hint));
    None
}

/// The points of `method: list`, checked against the method and the axes.
fn take_points(draft: &mut Draft) -> Vec<Vec<Choice>> {
    let is_list = matches!(draft.method, Some((Method::List, _)));
    let Some((points, place)) = draft.points.take() else {
        if let (true, Some((_, place))) = (is_list, draft.method.clone()) {
            draft.refuse(&place, "`method: list` needs `points`, a list of mappings");
        }
        return Vec::new();
    };
    if !is_list {
        draft.refuse(&place, "`points` needs `method: list`");
    } else if points.is_empty() {
        draft.refuse(&place, "`points` is empty");
    }
    for choice in points.iter().flatten() {
        if draft.settings.iter().any(|other| other.setting == choice.setting) {
            draft
                .refuse(&choice.place, format!("`{}` is set outside of the points too", choice.setting.path));
        }
    }
    points
}

/// Data go with the model only where both are built in.
fn set_data(draft: &mut Draft, base: &mut Recipe, points: &[&Choice]) {
    let choices = points.iter().copied().chain(&draft.settings);
    let models: Vec<&Choice> = choices.filter(|choice| choice.setting.path == "model").collect();
    let all_built_in = models.iter().flat_map(|choice| &choice.values).all(|(model, _)| model == "lab");
    if models.is_empty() {
        let problem = Problem::new(&Place::FILE, "`model` is missing");
        draft.problems.push(
            problem
                .hint("`model: lab`, a folder, or a hub id such as `Salesforce/blip-image-captioning-base`"),
        );
    }
    match draft.data.take() {
        Some(Some(data)) => base.data = data,
        Some(None) => {}
        None if all_built_in => base.data = DataSource::BuiltIn("lab".to_owned()),
        None => {
            let problem = Problem::new(
                &Place::FILE,
                "`data` is missing; only the built-in model, `lab`, has data of its own",
            );
            draft
                .problems
                .push(problem.hint("`data: {train: {captions: FILE, images: FOLDER}}`, or `data: lab`"));
        }
    }
}
