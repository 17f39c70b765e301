//! The numbers an evaluation has, by name.

use crate::record::recipe::MetricName;

/// A score of generated captions; more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    Score,
    Meteor,
    RougeL,
    CiderD,
    Bleu4,
}

impl Metric {
    pub const ALL: [Self; 5] = [Self::Score, Self::Meteor, Self::RougeL, Self::CiderD, Self::Bleu4];

    /// The score comes last: it is made of the others.
    pub const SCORE_LAST: [Self; 5] = [Self::Meteor, Self::RougeL, Self::CiderD, Self::Bleu4, Self::Score];

    /// Name in tables and files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Meteor => "meteor",
            Self::RougeL => "rouge_l",
            Self::CiderD => "cider_d",
            Self::Bleu4 => "bleu_4",
        }
    }

    /// Name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Meteor => "METEOR",
            Self::RougeL => "ROUGE-L",
            Self::CiderD => "CIDEr-D",
            Self::Bleu4 => "BLEU-4",
        }
    }
}

/// What people call the metric that ranks the runs.
pub fn metric_name(metric: MetricName) -> &'static str {
    match metric {
        MetricName::Score => "score",
        MetricName::Meteor => "METEOR",
        MetricName::RougeL => "ROUGE-L",
        MetricName::CiderD => "CIDEr-D",
        MetricName::ValLoss => "loss",
        MetricName::ValNll => "NLL",
    }
}
