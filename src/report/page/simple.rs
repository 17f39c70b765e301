//! What the report says of the simple model beside the fine-tuned runs: whether so large a model pays at all.

use crate::analysis::Interval;
use crate::report::findings::Findings;
use crate::report::format::{decimals, from_to, signed};
use crate::report::metrics::Metric;

/// The best run against the small decoder, on the images that both captioned.
pub fn over_small_decoder(findings: &Findings) -> Option<String> {
    let (_, comparison) = findings.small_decoder.as_ref()?;
    let comparison = comparison.as_ref()?;
    Some(in_words(comparison.of(Metric::Score)?, comparison.images, findings.images.name()))
}

fn in_words(gain: Interval, images: usize, split: &str) -> String {
    const SMALL: &str = "small GRU decoder, trained from nothing on frozen features,";
    let number = |value: f64| decimals(Some(value));
    let where_from = |interval: String| format!("95 % interval {interval}, on {images} {split} images");
    if gain.low > 0.0 {
        let interval = where_from(from_to(gain, number));
        return format!("Over the {SMALL} it gains {} in score ({interval}).", number(gain.estimate));
    }
    if gain.high < 0.0 {
        let loss = Interval { estimate: -gain.estimate, low: -gain.high, high: -gain.low };
        let (lost, interval) = (number(loss.estimate), where_from(from_to(loss, number)));
        return format!("The {SMALL} is better: fine-tuning loses {lost} in score to it ({interval}).");
    }
    let interval = where_from(from_to(gain, signed));
    format!(
        "Over the {SMALL} no lead shows: the difference is {} in score ({interval}).",
        signed(gain.estimate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_a_loss_and_an_open_question_are_told_apart() {
        let said = |estimate, low, high| in_words(Interval { estimate, low, high }, 120, "test");
        insta::assert_snapshot!(said(0.1, 0.05, 0.15), @"Over the small GRU decoder, trained from nothing on frozen features, it gains 0.100 in score (95 % interval 0.050 to 0.150, on 120 test images).");
        insta::assert_snapshot!(said(-0.1, -0.15, -0.05), @"The small GRU decoder, trained from nothing on frozen features, is better: fine-tuning loses 0.100 in score to it (95 % interval 0.050 to 0.150, on 120 test images).");
        insta::assert_snapshot!(said(0.01, -0.02, 0.04), @"Over the small GRU decoder, trained from nothing on frozen features, no lead shows: the difference is +0.010 in score (95 % interval −0.020 to +0.040, on 120 test images).");
    }
}
