//! The two domains: how far apart their texts and pictures are, what training changed, and where the gain came from.

use askama::Template;

use crate::analysis::attributes::{KindTally, Tally};
use crate::record::diagnostics::{Cka, Domain, Source};
use crate::record::pairing::Pairing;
use crate::report::comparison::Images;
use crate::report::findings::{Findings, Study};
use crate::report::format::{decimals, share, signed};
use crate::report::tables::RunRow;
use crate::report::text_table::Table;

#[derive(Template)]
#[template(path = "domain.html")]
pub struct DomainSection {
    text: String,
    pictures: Table,
    forgetting: String,
    image_use: String,
    pairing: String,
    attributes: Table,
}

/// The section; absent where nothing of it was measured.
pub fn domain_section(study: &Study, findings: &Findings) -> Option<DomainSection> {
    let best = findings.best;
    let data = |row: Option<&RunRow>| row.and_then(|row| study.data_of(row));
    let (best_data, zero_data) = (data(best), data(findings.zero_shot));
    let section = DomainSection {
        text: study
            .sweep
            .audit
            .as_ref()
            .and_then(|audit| audit.domain)
            .map(text_in_words)
            .unwrap_or_default(),
        pictures: pictures(
            zero_data.and_then(|run| run.diagnostics.domain.as_ref()),
            best_data.and_then(|run| run.diagnostics.cka.as_ref()),
        ),
        forgetting: best_data
            .and_then(|run| run.diagnostics.source.as_ref())
            .and_then(forgetting)
            .unwrap_or_default(),
        image_use: image_use(findings),
        pairing: best_data.and_then(|run| run.diagnostics.pairing.as_ref()).map(pairing).unwrap_or_default(),
        attributes: attributes(
            study,
            &findings.zero_shot.into_iter().chain(best).collect::<Vec<_>>(),
            findings.images,
        ),
    };
    let is_empty =
        section.text.is_empty() && section.pictures.rows.is_empty() && section.attributes.rows.is_empty();
    (!is_empty).then_some(section)
}

fn text_in_words(domain: crate::record::audit::TextDomain) -> String {
    format!(
        "The captions to learn have {:.0} words, those of the source domain {:.0}. {} of their words occur in no source \
         caption. The Jensen-Shannon divergence of their words is {:.2} of 1, and {:.2} between halves of the captions to \
         learn; of pairs of words {:.2} and {:.2}. {} of them begin with one of ten turns of phrase ({} in the source).",
        domain.target_words,
        domain.source_words,
        share(Some(domain.unknown_words)),
        domain.unigrams.across,
        domain.unigrams.within,
        domain.bigrams.across,
        domain.bigrams.within,
        share(Some(domain.target_templates)),
        share(Some(domain.source_templates)),
    )
}

/// A row for each boundary between vision layers.
fn pictures(domain: Option<&Domain>, cka: Option<&Cka>) -> Table {
    let mut table = Table::new(&[
        "after layer",
        "#proxy A-distance",
        "#p",
        "#MMD²",
        "#p",
        "#CKA of the best run, target",
        "#CKA, source",
    ]);
    let boundaries =
        domain.map_or(0, |domain| domain.layers.len()).max(cka.map_or(0, |cka| cka.layers.len()));
    for boundary in 0..boundaries {
        let layer = domain.and_then(|domain| domain.layers.get(boundary));
        let alike = cka.and_then(|cka| cka.layers.get(boundary));
        table.add([
            if boundary == 0 { "embeddings".to_owned() } else { boundary.to_string() },
            decimals(layer.and_then(|layer| layer.proxy_a_distance)),
            decimals(layer.and_then(|layer| layer.classifier_p)),
            decimals(layer.and_then(|layer| layer.mmd2)),
            decimals(layer.and_then(|layer| layer.mmd2_p)),
            decimals(alike.and_then(|layer| layer.target)),
            decimals(alike.and_then(|layer| layer.source)),
        ]);
    }
    table
}

fn forgetting(source: &Source) -> Option<String> {
    let after = source.after.as_ref()?;
    let from_to = |name: &str| {
        Some(format!(
            "{} to {}",
            decimals(source.before.get(name).copied()),
            decimals(after.get(name).copied())
        ))
    };
    Some(format!(
        "On {} images of the source domain the best run went from a loss of {} nats a token, METEOR from {}, CIDEr-D from \
         {}: what it forgot to learn the new captions.",
        source.images,
        from_to("nll")?,
        from_to("meteor")?,
        from_to("cider_d")?
    ))
}

/// How much of the training captions belongs to their pictures, as far as frozen features tell.
fn pairing(found: &Pairing) -> String {
    let Pairing { share, error, train_images, unseen_images, .. } = found;
    format!(
        "By frozen features, pictures have {} times as much to do with the words of their captions in {train_images} training \
         images as in {unseen_images} images of the other splits (95 % interval {} to {}): the share of training captions that \
         belong to their pictures, if all of the others do.",
        decimals(Some(*share)),
        decimals(Some(share - 1.96 * error)),
        decimals(Some(share + 1.96 * error))
    )
}

fn image_use(findings: &Findings) -> String {
    findings.image_gain.map_or_else(String::new, |gain| {
        format!(
            "The best run finds a reference likelier beside its own picture than beside another by {} nats a token (95 % \
             interval {} to {}): {}.",
            signed(gain.estimate),
            signed(gain.low),
            signed(gain.high),
            if gain.low > 0.0 { "it looks at the picture" } else { "no sign that it looks at the picture" }
        )
    })
}

/// Precision, recall and F1 of named attributes by kind, a group of columns a system; then of all that are visible and
/// all that are not.
pub fn attributes(study: &Study, systems: &[&RunRow], images: Images) -> Table {
    let mut table = Table::new(&["attribute"]);
    let lexicon = &study.sweep.lexicon;
    let split = images.name();
    let tallies: Vec<Vec<KindTally>> = systems
        .iter()
        .filter_map(|row| study.data_of(row))
        .map(|run| {
            let said: Vec<_> =
                run.said(split).map(|row| (row.caption.as_str(), row.references.as_slice())).collect();
            lexicon.tally(&said)
        })
        .collect();
    for system in systems {
        table.columns.extend(
            ["precision", "recall", "F1"]
                .map(|text| format!("{} {text}", system.name()))
                .map(|text| crate::report::text_table::Heading { text, is_number: true }),
        );
    }
    let Some(most) = tallies.iter().max_by_key(|tallies| tallies.len()) else { return table };
    let cells = |pick: &dyn Fn(&[KindTally]) -> Tally| -> Vec<String> {
        tallies
            .iter()
            .map(|tallies| pick(tallies))
            .flat_map(|tally| [tally.precision(), tally.recall(), tally.f1()].map(decimals))
            .collect()
    };
    for KindTally { kind, visible, .. } in most {
        let label = format!("{kind}{}", if *visible { "" } else { " (not visible)" });
        let of_kind = |tallies: &[KindTally]| {
            tallies.iter().find(|other| other.kind == *kind).map(|found| found.tally).unwrap_or_default()
        };
        table.add(std::iter::once(label).chain(cells(&of_kind)));
    }
    for (label, is_visible) in [("all visible", true), ("all not visible", false)] {
        let of_all = |tallies: &[KindTally]| {
            tallies.iter().filter(|found| found.visible == is_visible).map(|found| found.tally).sum()
        };
        table.add(std::iter::once(label.to_owned()).chain(cells(&of_all)));
    }
    table
}
