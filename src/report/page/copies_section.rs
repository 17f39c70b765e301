//! Memorisation: how much of what runs say are training captions, on images that they learnt from and on others.

use askama::Template;

use crate::analysis::memorisation::Memorisation;
use crate::analysis::proportions::is_surely_higher;
use crate::report::findings::{Findings, Study};
use crate::report::format::{ABSENT, decimals, plural, share};
use crate::report::tables::RunRow;
use crate::report::text_table::{Cell, Group, Row, Table};

/// A smaller share of copies, or nearly copies, is the odd one; references of which so many are copies are made by a
/// template.
const MANY: f64 = 0.1;

#[derive(Template)]
#[template(path = "copies.html")]
pub struct CopiesSection {
    findings: String,
    copies: Table,
}

/// The section; absent where the training captions or the captions of the best run are not known.
pub fn copies_section(study: &Study, findings: &Findings) -> Option<CopiesSection> {
    let [test, train, references] = findings.best?.copies;
    let test = test?;
    let mut sentences = vec![how_many(&test, references.as_ref())];
    sentences.extend(references.map(|references| against_references(&test, &references)));
    sentences.extend(train.map(|train| against_training(&test, &train)));
    Some(CopiesSection { findings: sentences.join(" "), copies: copies(study) })
}

fn how_many(test: &Memorisation, references: Option<&Memorisation>) -> String {
    let yardstick = references.map_or_else(String::new, |references| {
        format!(
            "; of these images' own references, {} and {}",
            share(Some(references.copied)),
            share(Some(references.nearly_copied))
        )
    });
    format!(
        "Of what run #1 says of {}, {} are training captions word for word, {} at least nearly{yardstick}.",
        plural(test.captions, "test image"),
        share(Some(test.copied)),
        share(Some(test.nearly_copied))
    )
}

fn against_references(test: &Memorisation, references: &Memorisation) -> String {
    let shares = [test, references].map(|found| (found.nearly_copied, found.captions));
    if is_surely_higher(shares[0], shares[1]) {
        return "That is more than the references themselves: it repeats what it learnt also where the pictures ask for \
                something else."
            .to_owned();
    }
    if references.nearly_copied >= MANY {
        return "That is no more than the references themselves: captions of this kind are made by a template, and copy by \
                nature."
            .to_owned();
    }
    "Most of its captions are its own.".to_owned()
}

fn against_training(test: &Memorisation, train: &Memorisation) -> String {
    let shares = [train, test].map(|found| (found.nearly_copied, found.captions));
    let of_train = format!(
        "Of {} that it learnt from it is {}",
        plural(train.captions, "image"),
        share(Some(train.nearly_copied))
    );
    if is_surely_higher(shares[0], shares[1]) {
        return format!(
            "{of_train}, surely more: it knows captions of pictures that it has seen. (There a right caption is a copy.)"
        );
    }
    if train.nearly_copied.max(test.nearly_copied) < MANY {
        return format!("{of_train}: hardly any caption was learnt by heart.");
    }
    format!(
        "{of_train}, not surely more: it says training captions of pictures that it never saw as well, so that it has \
         learnt sentences, and not which picture they belong to."
    )
}

/// Every run that captioned test images, best first, and the references below.
fn copies(study: &Study) -> Table {
    let mut table = Table::new(&[
        "run",
        "#captions",
        "#different",
        "#copies",
        "#nearly",
        "#new 4-grams",
        "#distinct-1",
        "#distinct-2",
        "#captions",
        "#copies",
        "#nearly",
    ]);
    let group = |text: &str, span| Group { text: text.to_owned(), span };
    table.groups = vec![group("", 1), group("test images", 7), group("training images", 3)];
    let measured = study.rows.iter().filter(|row| row.copies[0].is_some());
    table.rows.extend(measured.map(|row| {
        let class = if row.is_reference() { "reference" } else { "" };
        line(row.name(), class, row.copies[0].as_ref(), row.copies[1].as_ref())
    }));
    let references = study.rows.iter().find_map(|row: &RunRow| row.copies[2].as_ref());
    table.rows.extend(references.map(|found| line("references".to_owned(), "reference", Some(found), None)));
    table
}

fn line(name: String, class: &'static str, test: Option<&Memorisation>, train: Option<&Memorisation>) -> Row {
    let count = |count: Option<usize>| count.map_or_else(|| ABSENT.to_owned(), |count| count.to_string());
    let of_both = |found: Option<&Memorisation>| {
        [share(found.map(|found| found.copied)), share(found.map(|found| found.nearly_copied))]
    };
    let mut cells = vec![name, count(test.map(|test| test.captions)), count(test.map(|test| test.different))];
    cells.extend(of_both(test));
    cells.push(share(test.and_then(|test| test.novel_4_grams)));
    cells
        .extend([test.and_then(|test| test.distinct_1), test.and_then(|test| test.distinct_2)].map(decimals));
    cells.push(count(train.map(|train| train.captions)));
    cells.extend(of_both(train));
    Row { class, cells: cells.into_iter().map(Cell::plain).collect() }
}
