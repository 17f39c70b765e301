//! What the report says of the simple model beside the fine-tuned runs: whether so large a model pays at all.

use crate::analysis::Interval;
use crate::report::findings::Findings;
use crate::report::format::{decimals, signed};
use crate::report::metrics::Metric;

/// The best run against the small decoder, on the images that both captioned.
pub fn over_small_decoder(findings: &Findings) -> Option<String> {
    let (_, comparison) = findings.small_decoder.as_ref()?;
    let comparison = comparison.as_ref()?;
    Some(in_words(comparison.of(Metric::Score)?, comparison.images, findings.images.name()))
}

fn in_words(gain: Interval, images: usize, split: &str) -> String {
    let interval = format!("95 % interval {} to {}", signed(gain.low), signed(gain.high));
    let where_from = format!("{interval}, on {images} {split} images");
    if gain.low > 0.0 {
        format!(
            "Against the small GRU decoder on frozen features, which is trained from nothing, it gains {} in score ({where_from}).",
            decimals(Some(gain.estimate))
        )
    } else if gain.high < 0.0 {
        format!(
            "The small GRU decoder on frozen features, which is trained from nothing, is better: fine-tuning loses {} in score to it \
             ({where_from}).",
            decimals(Some(gain.estimate.abs()))
        )
    } else {
        format!(
            "The small GRU decoder on frozen features, which is trained from nothing, is not significantly worse: fine-tuning is at {} \
             in score against it ({where_from}).",
            signed(gain.estimate)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_a_loss_and_an_open_question_are_told_apart() {
        let said = |estimate, low, high| in_words(Interval { estimate, low, high }, 120, "test");
        insta::assert_snapshot!(said(0.1, 0.05, 0.15), @"Against the small GRU decoder on frozen features, which is trained from nothing, it gains 0.100 in score (95 % interval +0.050 to +0.150, on 120 test images).");
        insta::assert_snapshot!(said(-0.1, -0.15, -0.05), @"The small GRU decoder on frozen features, which is trained from nothing, is better: fine-tuning loses 0.100 in score to it (95 % interval −0.150 to −0.050, on 120 test images).");
        insta::assert_snapshot!(said(0.01, -0.02, 0.04), @"The small GRU decoder on frozen features, which is trained from nothing, is not significantly worse: fine-tuning is at +0.010 in score against it (95 % interval −0.020 to +0.040, on 120 test images).");
    }
}
