//! Whether training captions belong to other pictures, by frozen features and words ([`Pairing`]).

use crate::record::pairing::Pairing;

/// A share of right pairs above which the rest does little harm, or is only other pictures.
const MOST: f64 = 0.8;
/// Standard errors of a difference that is no accident: one in a hundred of data sets with the right pairs has as many.
const SURE: f64 = 2.33;

/// Images named in the sentence.
const NAMED: usize = 5;

/// Fewer of the training captions surely belong to their pictures.
pub fn is_wrong(pairing: &Pairing) -> bool {
    pairing.share <= MOST && pairing.z >= SURE
}

/// What was found, in a sentence, where it is wrong.
pub fn wrong_pairs(pairing: &Pairing) -> Option<String> {
    is_wrong(pairing).then(|| {
        let wrong = (100.0 * (1.0 - pairing.share)).clamp(0.0, 100.0);
        let named = &pairing.least_fitting[..pairing.least_fitting.len().min(NAMED)];
        let named = if named.is_empty() { String::new() } else { format!("; those of {} fit least", named.join(", ")) };
        format!(
            "Training captions do not belong to their pictures, about {wrong:.0} % of them (95 % interval {:.0} to {:.0} %): what \
             pictures have to do with the words beside them is {:.2} times what it is in the {} images of the other splits. Look \
             for captions that were moved to other images{named}.",
            (wrong - 196.0 * pairing.error).max(0.0),
            (wrong + 196.0 * pairing.error).min(100.0),
            pairing.share,
            pairing.unseen_images
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing(share: f64, z: f64) -> Pairing {
        Pairing {
            v: 1,
            train_images: 320,
            unseen_images: 224,
            share,
            error: 0.08,
            z,
            least_fitting: vec!["a.png".to_owned(), "b.png".to_owned()],
        }
    }

    #[test]
    fn what_is_neither_much_nor_sure_is_not_said() {
        assert_eq!(wrong_pairs(&pairing(0.85, 9.0)), None, "not much");
        assert_eq!(wrong_pairs(&pairing(0.5, 2.0)), None, "not sure");
        assert_eq!(wrong_pairs(&pairing(1.4, -3.0)), None);
    }

    #[test]
    fn half_of_the_captions_are_said_with_their_interval_and_no_share_leaves_the_range() {
        let half = wrong_pairs(&pairing(0.5, 5.0)).unwrap();
        assert!(half.contains("about 50 % of them (95 % interval 34 to 66 %)"), "{half}");
        assert!(half.ends_with("moved to other images; those of a.png, b.png fit least."), "{half}");
        let all = wrong_pairs(&pairing(-0.05, 15.0)).unwrap();
        assert!(all.contains("about 100 % of them (95 % interval 84 to 100 %)"), "{all}");
    }
}
