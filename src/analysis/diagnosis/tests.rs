//! Evidence of sound studies and of others.

use super::*;

fn sound() -> Evidence {
    Evidence {
        training: Some(Training {
            learning_rate: 1e-3,
            steps: 500,
            first_train_loss: 5.0,
            middle_train_loss: 0.7,
            last_train_loss: 0.5,
            lowest_val_nll: 0.6,
            initial_val_nll: Some(14.0),
        }),
        image_gain: Some(Interval { estimate: 0.03, low: 0.02, high: 0.04 }),
        unigram_nll: Some(4.0),
        train_images: Some(300),
        runs: 3,
        ..Evidence::default()
    }
}

fn causes(evidence: &Evidence) -> Vec<Cause> {
    diagnose(evidence).iter().map(|diagnosis| diagnosis.cause).collect()
}

fn audited(kind: FindingKind, severity: Severity) -> Finding {
    Finding {
        kind,
        severity,
        number: 1.0,
        unit: crate::record::audit::Unit::Share,
        meaning: String::new(),
        remedy: None,
        runs: Vec::new(),
    }
}

#[test]
fn a_sound_study_has_no_cause() {
    assert_eq!(causes(&sound()), []);
    assert_eq!(causes(&Evidence::default()), []);
    assert_eq!(causes(&Evidence { diverged: 2, ..sound() }), [], "some of several rates may be too high");
}

#[test]
fn a_rate_is_too_high_where_nothing_is_learnt_and_the_loss_stands_still() {
    assert_eq!(causes(&Evidence { diverged: 3, ..sound() }), [Cause::RateTooHigh]);
    let with = |first_train_loss, middle_train_loss, last_train_loss| Evidence {
        training: Some(Training {
            learning_rate: 1e-3,
            steps: 500,
            first_train_loss,
            middle_train_loss,
            last_train_loss,
            lowest_val_nll: 3.9,
            initial_val_nll: Some(14.0),
        }),
        image_gain: Some(Interval { estimate: 0.0, low: -0.1, high: 0.1 }),
        ..sound()
    };
    assert_eq!(causes(&with(5.5, 4.1, 4.0)), [Cause::RateTooHigh]);
    assert_eq!(causes(&with(8.0, 6.0, 4.0)), [Cause::RateTooLow]);
    let mut short = with(5.5, 4.1, 4.0);
    short.training.as_mut().unwrap().steps = 40;
    assert_eq!(causes(&short), [Cause::RateTooLow]);
}

#[test]
fn pictures_that_do_not_help_are_named_only_where_there_are_enough() {
    let blind = Interval { estimate: 0.001, low: -0.002, high: 0.004 };
    let evidence = Evidence { image_gain: Some(blind), ..sound() };
    assert_eq!(causes(&evidence), [Cause::CaptionsDoNotFit]);
    assert_eq!(causes(&Evidence { train_images: Some(40), ..evidence }), []);
}

#[test]
fn what_the_audit_found_comes_by_its_severity_and_notes_are_no_cause() {
    let findings = vec![
        audited(FindingKind::StartToken, Severity::Warning),
        audited(FindingKind::ForbiddenRepeats, Severity::Severe),
        audited(FindingKind::SharedCaptions, Severity::Note),
    ];
    let found = causes(&Evidence { findings, overfit_rise: Some(0.2), ..sound() });
    let audited = [FindingKind::ForbiddenRepeats, FindingKind::StartToken].map(Cause::Audited);
    assert_eq!(found, [audited[0], audited[1], Cause::Overfitting]);
}

/// Gains on unseen and on training images.
fn with_gains(unseen: [f64; 3], seen: [f64; 3], unseen_surplus: Option<Surplus>) -> Evidence {
    let interval = |[low, estimate, high]: [f64; 3]| Some(Interval { estimate, low, high });
    Evidence { image_gain: interval(unseen), seen_gain: interval(seen), unseen_surplus, ..sound() }
}

#[test]
fn what_pictures_are_of_no_use_for_depends_on_the_training_images() {
    let nothing = [-0.002, 0.001, 0.004];
    let z = |z| Some(Surplus { gain: 0.001, expected: 0.2, error: -0.199 / z });
    assert_eq!(causes(&with_gains(nothing, [0.005, 0.01, 0.015], z(-5.0))), [Cause::CaptionsDoNotFit]);
    assert_eq!(causes(&with_gains(nothing, [-0.001, 0.001, 0.003], z(-5.0))), [Cause::PicturesUnused]);
    assert_eq!(causes(&with_gains(nothing, [0.15, 0.2, 0.25], z(-5.0))), [Cause::ReferencesDoNotFit]);
    assert_eq!(
        causes(&with_gains([0.001, 0.004, 0.007], [0.005, 0.01, 0.015], None)),
        [Cause::CaptionsDoNotFit]
    );
}

#[test]
fn a_surplus_tells_captions_that_belong_in_part_unless_images_are_shared() {
    let with = |z: f64| Evidence {
        surplus: Some(Surplus { gain: 0.06, expected: 0.06 - z * 0.01, error: 0.01 }),
        ..with_gains([0.05, 0.06, 0.07], [0.05, 0.06, 0.07], None)
    };
    assert_eq!(causes(&with(2.5)), [Cause::CaptionsFitInPart]);
    assert_eq!(causes(&with(1.0)), []);
    assert_eq!(causes(&with(-8.0)), []);
    let shared = audited(FindingKind::SharedImages, Severity::Warning);
    assert_eq!(
        causes(&Evidence { findings: vec![shared], ..with(2.5) }),
        [Cause::Audited(FindingKind::SharedImages)]
    );
}

#[test]
fn pairs_that_are_wrong_by_frozen_features_need_no_trained_model_and_are_explained_by_another_style() {
    let with = |share| Evidence {
        pairing: Some(Pairing {
            v: 1,
            train_images: 320,
            unseen_images: 224,
            share,
            error: 0.1,
            z: 5.0,
            least_fitting: Vec::new(),
        }),
        ..sound()
    };
    assert_eq!(causes(&with(0.5)), [Cause::CaptionsFitInPart]);
    assert_eq!(causes(&with(0.1)), [Cause::CaptionsDoNotFit]);
    assert_eq!(causes(&with(0.9)), []);
    assert_eq!(
        causes(&Evidence { training: None, image_gain: None, ..with(0.5) }),
        [Cause::CaptionsFitInPart]
    );
    for kind in [FindingKind::OtherStyle, FindingKind::DuplicateCaptions] {
        let findings = vec![audited(kind, Severity::Warning)];
        assert_eq!(causes(&Evidence { findings, ..with(0.5) }), [Cause::Audited(kind)]);
    }
    let findings = vec![audited(FindingKind::WrongPairs, Severity::Severe)];
    let twice = Evidence { findings, ..with(0.5) };
    assert_eq!(causes(&twice), [Cause::Audited(FindingKind::WrongPairs)], "said once");
}

#[test]
fn what_the_audit_explains_is_not_explained_again() {
    let blind = with_gains([-0.002, 0.001, 0.004], [-0.001, 0.001, 0.003], None);
    let vision = audited(FindingKind::VisionRate, Severity::Severe);
    assert_eq!(
        causes(&Evidence { findings: vec![vision], ..blind }),
        [Cause::Audited(FindingKind::VisionRate)]
    );
    let mut ignorant = sound();
    ignorant.training.as_mut().unwrap().lowest_val_nll = 3.9;
    for (kind, severity) in
        [(FindingKind::FrozenDecoder, Severity::Warning), (FindingKind::WarmUp, Severity::Severe)]
    {
        let evidence = Evidence { findings: vec![audited(kind, severity)], ..ignorant.clone() };
        assert_eq!(causes(&evidence), [Cause::Audited(kind)]);
    }
}

#[test]
fn a_rate_that_moves_nothing_is_too_low_and_one_that_destroys_is_too_high() {
    let with = |initial, first, last, lowest| Evidence {
        training: Some(Training {
            learning_rate: 1e-3,
            steps: 500,
            first_train_loss: first,
            middle_train_loss: last,
            last_train_loss: last,
            lowest_val_nll: lowest,
            initial_val_nll: Some(initial),
        }),
        ..sound()
    };
    assert_eq!(causes(&with(14.0, 14.0, 13.9, 13.8)), [Cause::RateTooLow], "far from the frequency of words");
    assert_eq!(causes(&with(14.0, 90.0, 25.0, 20.0)), [Cause::RateTooHigh], "further than before training");
    assert_eq!(causes(&with(2.0, 2.0, 1.99, 1.99)), [Cause::RateTooLow], "it could write before");
    assert_eq!(causes(&with(2.0, 2.9, 2.8, 2.7)), [Cause::RateTooHigh], "it could write before, and better");
    assert_eq!(causes(&with(2.0, 2.0, 0.5, 2.1)), [], "it learns by heart");
    assert_eq!(causes(&with(2.0, 1.5, 1.0, 1.2)), []);
}
