//! What every setting of a sweep is, where that comes from, and what the other recipe has: `sweep plan --verbose`.

use serde::Serialize;
use serde_json::Value;

use crate::record::recipe::{DataSource, Validation};
use crate::spec::preset::DIFFERENCES;
use crate::spec::problem::Place;
use crate::spec::setting::{SETTINGS, shown, shown_of};
use crate::spec::{Setting, SweepSpec};

/// Widest cell of values; longer lists are cut short, which programs are spared.
const WIDEST_VALUES: usize = 22;
/// Width that notes are broken at.
const LINE: usize = 78;
/// Indent of a note below its setting.
const NOTE: &str = "      ";

/// The settings as `sweep plan --verbose --format json` has them.
#[derive(Debug, PartialEq, Serialize)]
pub struct SettingsView {
    pub recipe: &'static str,
    pub other_recipe: &'static str,
    pub settings: Vec<SettingView>,
}

/// A setting of the sweep.
#[derive(Debug, PartialEq, Serialize)]
pub struct SettingView {
    /// Its dotted path.
    pub setting: &'static str,
    /// Several where it varies; as written, duplicates left out.
    pub values: Vec<Value>,
    pub varies: bool,
    pub from: Origin,
    /// The line of the file that has it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// That file, where the sweep file builds on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What the sweep's own recipe has, and what the other one does.
    pub recipe: Value,
    pub other_recipe: Value,
    /// Why the two recipes differ, where they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// Who decided a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Recipe,
    File,
    CommandLine,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::Recipe => "recipe",
            Self::File => "file",
            Self::CommandLine => "command line",
        }
    }
}

/// Every setting of a sweep, in the order of the recipe.
pub fn view(spec: &SweepSpec) -> SettingsView {
    let (own, other) = (spec.preset.recipe(), spec.preset.other().recipe());
    let setting = |setting: &'static Setting| {
        let values = values(spec, setting);
        let place = spec.written.get(setting.path);
        SettingView {
            setting: setting.path,
            varies: values.len() > 1,
            values,
            from: match place {
                None => Origin::Recipe,
                Some(Place::File { .. } | Place::Base { .. }) => Origin::File,
                Some(Place::Override(_)) => Origin::CommandLine,
            },
            line: match place {
                Some(Place::File { line, .. } | Place::Base { line, .. }) if *line > 0 => Some(*line),
                _ => None,
            },
            base: match place {
                Some(Place::Base { file, .. }) => Some(file.to_string()),
                _ => None,
            },
            recipe: setting.read(&own),
            other_recipe: setting.read(&other),
            why: DIFFERENCES.iter().find(|difference| difference.path == setting.path).map(|found| found.why),
            note: spec.preset.note(setting.path),
        }
    };
    SettingsView {
        recipe: spec.preset.name(),
        other_recipe: spec.preset.other().name(),
        settings: SETTINGS.iter().map(setting).collect(),
    }
}

/// The values that a setting takes in the sweep: those of its axis or of the points, or the one it has throughout.
fn values(spec: &SweepSpec, setting: &'static Setting) -> Vec<Value> {
    let base = setting.read(&spec.base);
    let included = spec.include.iter().flatten().filter(|(other, _)| *other == setting);
    let included = included.flat_map(|(_, values)| values);
    if let Some(axis) = spec.axes.iter().find(|axis| axis.setting == setting) {
        let elsewhere = spec.conditions.iter().find(|condition| condition.setting == setting);
        let elsewhere = elsewhere.map(|condition| &condition.otherwise);
        return distinct(axis.values.iter().chain(elsewhere).chain(included));
    }
    // A point that does not mention the setting has the sweep's.
    let of_points = spec
        .points
        .iter()
        .map(|point| point.iter().find(|(other, _)| *other == setting).map_or(&base, |(_, value)| value));
    if spec.points.is_empty() {
        distinct(std::iter::once(&base).chain(included))
    } else {
        distinct(of_points.chain(included))
    }
}

fn distinct<'a>(all: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for value in all {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values
}

/// The settings for people, group by group. The last column is the other recipe's value where it is another one.
pub fn draw(spec: &SweepSpec) -> String {
    let SettingsView { recipe, other_recipe, settings } = view(spec);
    let model = settings.iter().find(|setting| setting.setting == "model");
    let model =
        model.map_or(String::new(), |model| model.values.iter().map(shown).collect::<Vec<_>>().join(", "));
    let mut text = format!("recipe: {recipe}\nmodel:  {model}\ndata:   {}\n\n", data(&spec.base.data));
    let rows: Vec<Row> = settings.iter().filter(|setting| setting.setting != "model").map(row).collect();
    let width = |cell: fn(&Row) -> &str, least: &str| {
        rows.iter().map(|row| cell(row).chars().count()).chain([least.len()]).max().unwrap_or(0)
    };
    let widths =
        [width(|row| &row.name, ""), width(|row| &row.values, "value"), width(|row| row.from, "from")];
    let line = |cells: [&str; 4]| {
        let [name, values, from] = widths;
        let line = format!("{:<name$}  {:<values$}  {:<from$}  {}", cells[0], cells[1], cells[2], cells[3]);
        line.trim_end().to_owned() + "\n"
    };
    text += &line(["", "value", "from", other_recipe]);
    let mut group = "";
    for row in &rows {
        if row.group != group {
            group = row.group;
            text += &format!("{group}\n");
        }
        text += &line([&row.name, &row.values, row.from, &row.other]);
        text.extend(row.notes.iter().flat_map(|note| wrapped(note, NOTE, NOTE)));
    }
    text
}

struct Row {
    group: &'static str,
    name: String,
    values: String,
    from: &'static str,
    other: String,
    notes: Vec<String>,
}

fn row(setting: &SettingView) -> Row {
    let (group, key) = setting.setting.split_once('.').unwrap_or(("", setting.setting));
    let is_other = setting.values.iter().any(|value| *value != setting.other_recipe);
    let why = setting.why.filter(|_| is_other);
    let is_changed = setting.values != [setting.recipe.clone()];
    let mut notes: Vec<String> = why.into_iter().chain(setting.note).map(str::to_owned).collect();
    if is_changed {
        notes.insert(0, format!("The recipe has {}.", shown(&setting.recipe)));
    }
    Row {
        group,
        name: format!("  {key}"),
        values: short_list(setting),
        from: match (setting.varies, setting.from) {
            (true, Origin::CommandLine) => "axis, typed",
            (true, _) => "axis",
            (false, origin) => origin.name(),
        },
        other: if why.is_some() { shown(&setting.other_recipe) } else { String::new() },
        notes,
    }
}

/// `1e-5, 3e-5`; of a long list as many as there is room for, and how many there are.
fn short_list(setting: &SettingView) -> String {
    let values: Vec<String> = setting.values.iter().map(|value| shown_of(setting.setting, value)).collect();
    let whole = values.join(", ");
    if whole.chars().count() <= WIDEST_VALUES {
        return whole;
    }
    let rest = format!("... ({})", values.len());
    let mut text = String::new();
    for value in &values {
        if text.chars().count() + value.chars().count() + 2 + rest.len() > WIDEST_VALUES {
            break;
        }
        text += &format!("{value}, ");
    }
    text + &rest
}

/// A text broken into lines of at most [`LINE`] characters, the first with one indent and the others with another.
pub(super) fn wrapped(text: &str, first: &str, others: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= LINE => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{others}{word}")),
            None => lines.push(format!("{first}{word}")),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The data and how validation images are chosen, which is no setting and the same under both recipes.
fn data(source: &DataSource) -> String {
    match source {
        DataSource::BuiltIn(name) => name.clone(),
        DataSource::Files(files) => {
            let train = &files.train.captions;
            match &files.validation {
                Validation { captions: Some(captions), .. } => format!("{train}; {captions} validates"),
                Validation { fraction, seed, .. } => format!(
                    "{train}; {} of it validates, chosen by Python's shuffle with seed {}",
                    fraction.unwrap_or_default(),
                    seed.unwrap_or_default()
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::expand;
    use crate::record::Recipe;
    use crate::spec::preset::Difference;
    use crate::spec::setting::named;
    use crate::spec::{Preset, parse};

    fn spec(text: &str, overrides: &[&str]) -> SweepSpec {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse(text, "study.yaml", &overrides).unwrap_or_else(|error| panic!("{error}"))
    }

    const MIXED: &str = "\
model: lab
recipe: as-original
metric: score
parameters:
  unfrozen_vision_layers: {values: [0, 3, 6]}
  learning_rate: 1.0e-5
  mask_padding: {values: [true, false]}
training: {epochs: 10, batch_size: 6}
";

    #[test]
    fn every_setting_is_shown_with_where_it_comes_from_and_what_the_other_recipe_has() {
        let spec = spec(MIXED, &["num_beams=1,3", "warmup_steps=20", "patience=0"]);
        insta::assert_snapshot!(draw(&spec), @"
        recipe: as-original
        model:  lab
        data:   lab

                                       value           from          corrected
        training
          unfrozen_vision_layers       0, 3, 6         axis
              The recipe has 6.
              The original's code looks for its 6 layers under a name that does not
              exist and trained none of them: 0 is that run, 6 is what it meant to be.
          unfreeze_from_epoch          1               recipe
          unfreeze_every               0               recipe
          learning_rate                1e-5            file
              The recipe has 3e-5.
          vision_lr_multiplier         0.1             recipe
          text_lr_multiplier           1               recipe
          layer_lr_decay               1               recipe
          weight_decay                 0.01            recipe
          decay_norms_and_biases       true            recipe
          train_text_decoder           true            recipe
          trainable_text               all             recipe
          trainable_text_layers        0               recipe
          train_embeddings             false           recipe
          lora_rank                    0               recipe
          lora_alpha                   8               recipe
          lora_targets                 attention       recipe
          train_examples               0               recipe
          balance                      0               recipe
          balance_by                   ''              recipe
          batch_size                   6               file
          gradient_accumulation_steps  1               recipe
          epochs                       10              file
              The recipe has 15.
          max_steps                    0               recipe
          lr_scheduler_type            linear          recipe
          warmup_steps                 20              command line  100
              The recipe has 1000.
              1000 steps are most of a run on a few hundred images.
          warmup_ratio                 0               recipe
          max_grad_norm                2               recipe
          ema_decay                    0               recipe
          max_length                   60              recipe        128
              At 60 tokens, half of all long captions are cut in mid-sentence.
          start_token                  cls             recipe        dec
              Generation starts from [DEC]; train from what it starts from.
          prompt                       ''              recipe
          mask_padding                 true, false     axis          true
              The recipe has false.
              Counted padding makes the loss fall for saying nothing.
          label_smoothing              0               recipe
          dropout                      0               recipe
          shuffle                      true            recipe
          horizontal_flip              0               recipe
          random_resized_crop          1               recipe
          rotation                     0               recipe
          color_jitter                 0               recipe
          augmentation_views           0               recipe
          synonym_replacement          0               recipe
          protected_words              ''              recipe
          paraphrases                  ''              recipe
          precision                    f32             recipe
          gradient_checkpointing       false           recipe
        evaluation
          samples                      100             recipe        0
              A hundred captions decide between epochs by luck; 0 means all.
          test_samples                 200             recipe        0
              Two hundred captions leave wide intervals; 0 means all.
          convention                   original        recipe        coco
              Casing and punctuation are not what a model is judged by.
          cider_weight                 1               recipe        0.1
              From 0 to 10, CIDEr-D at full weight drowns the other two.
          batch_size                   16              recipe
          eval_every                   1               recipe
          diagnostics                  true            recipe
        early_stopping
          patience                     0               command line
              The recipe has 5.
          min_delta                    0               recipe
          metric                       score           file
          zero_cider                   minus_val_loss  recipe        keep
              A loss is no score: one scale, and 0 is a result like any other.
        generation
          max_length                   60              recipe        128
              As many tokens as in training.
          min_length                   0               recipe
          num_beams                    1, 3            axis, typed
              The recipe has 5.
          no_repeat_ngram_size         2               recipe        0
              Most structured captions repeat a pair of tokens.
          length_penalty               1               recipe
          early_stopping               true            recipe
          repetition_penalty           1.1             recipe        1
              Structured captions repeat words because they must.
        ");
    }

    #[test]
    fn the_default_recipe_tells_what_the_original_had() {
        let text = draw(&spec("model: lab", &[]));
        for Difference { path, why } in DIFFERENCES {
            let key = path.rsplit('.').next().unwrap();
            assert!(text.contains(why) && text.contains(&format!("  {key} ")), "{path} is not in\n{text}");
        }
        assert!(!text.contains("The recipe has"), "{text}");
    }

    #[test]
    fn every_difference_is_an_axis_of_its_own_from_either_recipe() {
        for preset in [Preset::AsOriginal, Preset::Corrected] {
            let (own, other) = (preset.recipe(), preset.other().recipe());
            for Difference { path, .. } in DIFFERENCES {
                let setting = named(path).unwrap();
                let (own, other) = (setting.read(&own), setting.read(&other));
                let text = format!(
                    "model: lab\nrecipe: {}\nparameters: {{{path}: [{own}, {other}]}}\n",
                    preset.name()
                );
                let plan = expand(&spec(&text, &[])).unwrap();
                let runs: Vec<&Recipe> = plan.runs.iter().map(|run| &run.recipe).collect();
                let [first, second] = runs[runs.len() - 2..] else { panic!("{text}") };
                let differs = |setting: &&Setting| setting.read(first) != setting.read(second);
                let varied: Vec<&str> = SETTINGS.iter().filter(differs).map(|setting| setting.path).collect();
                assert_eq!((varied, &plan.merged), (vec![path], &vec![]), "{text}");
            }
        }
    }

    #[test]
    fn nothing_is_wider_than_a_terminal_however_much_varies() {
        let rates: Vec<String> = (1..=30).map(|rate| format!("{rate}.5e-5")).collect();
        let rates = format!("learning_rate={}", rates.join(","));
        for recipe in Preset::NAMES {
            let spec = spec(MIXED, &[&format!("recipe={recipe}"), &rates, "zero_cider=keep,minus_val_loss"]);
            let text = draw(&spec);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.contains("... (30)"), "{text}");
        }
    }

    #[test]
    fn points_and_axes_list_what_they_take() {
        let text = "model: lab\nmethod: list\npoints:\n  - {epochs: 3, weight_decay: 0.1}\n  - {epochs: 5}\n  - {epochs: 3}\nparameters: {warmup_steps: [7, 9]}\n";
        let view = view(&spec(text, &[]));
        let of = |path: &str| view.settings.iter().find(|setting| setting.setting == path).unwrap();
        let values = |path: &str| of(path).values.iter().map(shown).collect::<Vec<_>>();
        assert_eq!(values("training.epochs"), ["3", "5"]);
        assert_eq!(values("training.weight_decay"), ["0.1", "0.01"]);
        assert_eq!(values("training.warmup_steps"), ["7", "9"]);
        assert_eq!((of("training.epochs").line, of("training.epochs").varies), (Some(4), true));
    }

    #[test]
    fn programs_read_the_same_as_data() {
        let view = view(&spec(MIXED, &["num_beams=1,3", "warmup_steps=20"]));
        let of = |path: &str| view.settings.iter().find(|setting| setting.setting == path).unwrap();
        let shown = ["training.mask_padding", "training.warmup_steps", "generation.length_penalty"].map(of);
        insta::assert_snapshot!(serde_json::to_string(&shown).unwrap(), @r#"[{"setting":"training.mask_padding","values":[true,false],"varies":true,"from":"file","line":7,"recipe":false,"other_recipe":true,"why":"Counted padding makes the loss fall for saying nothing."},{"setting":"training.warmup_steps","values":[20],"varies":false,"from":"command_line","recipe":1000,"other_recipe":100,"why":"1000 steps are most of a run on a few hundred images."},{"setting":"generation.length_penalty","values":[1.0],"varies":false,"from":"recipe","recipe":1.0,"other_recipe":1.0}]"#);
        assert_eq!(view.settings.len(), SETTINGS.len());
    }
}
