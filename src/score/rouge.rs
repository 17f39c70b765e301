//! ROUGE-L (Lin, 2004): how much of a reference a caption keeps in order, in the two common forms.

use super::corpus::{Image, WordId};
use super::lcs::Pattern;

/// `rouge_score`'s rougeL: the F1 of precision and recall, the best over references. In `[0, 1]`.
pub fn rouge_l_f1(image: &Image) -> f64 {
    let caption = Pattern::new(&image.caption);
    let scores = image.references.iter().map(|reference| f1(&caption, reference));
    scores.fold(0.0, f64::max)
}

/// The F1 of a prepared sequence and another; 0 where they share nothing. It is symmetric.
pub fn f1(a: &Pattern, b: &[WordId]) -> f64 {
    let common = a.common(b);
    if common == 0 { 0.0 } else { 2.0 * common as f64 / (a.len() + b.len()) as f64 }
}

/// pycocoevalcap's ROUGE-L: beta is 1.2, and precision and recall may come from different references.
///
/// As there, a text without words counts as one empty word, so that two of them agree perfectly.
pub fn rouge_l_coco(image: &Image) -> f64 {
    const BETA_SQUARED: f64 = 1.2 * 1.2;
    if image.caption.is_empty() {
        return if image.references.iter().any(Vec::is_empty) { 1.0 } else { 0.0 };
    }
    let caption = Pattern::new(&image.caption);
    let (mut precision, mut recall) = (0.0, 0.0);
    for reference in &image.references {
        let common = caption.common(reference) as f64;
        precision = f64::max(precision, common / caption.len() as f64);
        recall = f64::max(recall, common / reference.len().max(1) as f64);
    }
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    (1.0 + BETA_SQUARED) * precision * recall / (recall + BETA_SQUARED * precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(caption: &[WordId], references: &[&[WordId]]) -> Image {
        let references = references.iter().map(|words| words.to_vec()).collect();
        Image { caption: caption.to_vec(), references }
    }

    #[test]
    fn f1_takes_the_best_reference() {
        let image = image(&[1, 2, 3, 4], &[&[9, 9], &[1, 3], &[2, 9, 9]]);
        assert_eq!(rouge_l_f1(&image), 2.0 * 2.0 / 6.0);
    }

    #[test]
    fn the_coco_form_takes_precision_and_recall_from_different_references() {
        let image = image(&[1, 2, 3, 4], &[&[1, 2, 3, 9, 9, 9], &[4]]);
        let (p, r) = (0.75, 1.0);
        assert_eq!(rouge_l_coco(&image), (1.0 + 1.44) * p * r / (r + 1.44 * p));
    }

    #[test]
    fn texts_without_words_agree_only_in_the_coco_form() {
        assert_eq!(rouge_l_coco(&image(&[], &[&[]])), 1.0);
        assert_eq!(rouge_l_coco(&image(&[], &[&[1]])), 0.0);
        assert_eq!(rouge_l_f1(&image(&[], &[&[]])), 0.0);
        assert_eq!(rouge_l_f1(&image(&[1], &[])), 0.0);
        assert_eq!(rouge_l_coco(&image(&[1], &[])), 0.0);
    }
}
