//! Models that ship inside of the program.

/// Scores pending transactions; `models/CARD.md` says what it was trained on and what it cannot know.
pub const TRANSACTION: &[u8] = include_bytes!("../shipped/transaction.onnx");

/// Scores fresh contracts; `models/CONTRACT-CARD.md` says how little it can know.
pub const CONTRACT: &[u8] = include_bytes!("../shipped/contract.onnx");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{self, transaction};
    use crate::{Engine, Model, Vector};

    fn model() -> Model {
        Model::from_bytes(TRANSACTION, &schema::TRANSACTION, Engine::Native).unwrap()
    }

    #[test]
    fn the_page_is_the_card_in_the_file() {
        assert!(
            include_str!("../CARD.md") == model().card_markdown(),
            "run `portcullis models card > models/CARD.md`"
        );
    }

    #[test]
    fn the_page_of_the_contract_model_is_the_card_in_its_file() {
        let model = Model::from_bytes(CONTRACT, &schema::CONTRACT, Engine::Native).unwrap();
        assert!(
            include_str!("../CONTRACT-CARD.md") == model.card_markdown(),
            "run `portcullis models card --contract > models/CONTRACT-CARD.md`"
        );
    }

    #[test]
    fn nothing_known_is_no_alarm() {
        let score = model().score(&Vector::unknown(&schema::TRANSACTION)).unwrap();
        assert!(score.probability < model().threshold(), "{score:?}");
    }

    #[test]
    fn an_owner_who_takes_what_is_its_own_is_no_alarm() {
        let mut vector = Vector::unknown(&schema::TRANSACTION);
        vector.set(transaction::FRAMES_LOG, 2_f32.ln_1p());
        vector.set(transaction::DEPTH, 2.0);
        vector.set(transaction::OUTFLOW_FRAC, 0.6);
        vector.set(transaction::OUTFLOW_OVER_CLAIM, 1.0);
        vector.set(transaction::REENTRY_DEPTH, 0.0);
        vector.set(transaction::REENTRY_WRITE, 0.0);
        let score = model().score(&vector).unwrap();
        assert!(score.probability < model().threshold(), "{score:?}");
    }
}
