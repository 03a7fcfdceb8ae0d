//! The layers of a system prompt, put together. Pure.

use std::collections::HashSet;

use reveille_vault::NoteId;

/// Most bytes of a system prompt: some 150 000 tokens, which leaves a model's window room for the conversation.
pub(super) const BUDGET: usize = 600_000;
/// Between two layers.
const SEPARATOR: &str = "\n\n---\n\n";

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// Whose text it is: each note counts once.
    pub(super) note: NoteId,
    /// Its heading: the note's path, or a name where it has none.
    pub(super) title: String,
    /// Taken as it is.
    pub(super) content: String,
    /// Stays whatever the budget says.
    pub(super) firm: bool,
}

/// What the layers come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Composed {
    /// Empty when no layer has text.
    pub(super) text: String,
    /// Headings of the layers that did not fit, in order.
    pub(super) dropped: Vec<String>,
}

impl Composed {
    /// Puts the daemon's own words behind them; they are few, and always there.
    pub(super) fn add(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.text.push_str(SEPARATOR);
        }
        self.text.push_str(words);
    }
}

/// Joins the layers in their order. Blank ones and a note's second layer are passed over. Firm layers are always whole; of
/// the others those in front are kept, up to the first that would pass the budget.
pub(super) fn compose(layers: Vec<Layer>, budget: usize) -> Composed {
    let mut seen = HashSet::new();
    let mut composed = Composed::default();
    for layer in layers {
        if layer.content.trim().is_empty() || !seen.insert(layer.note) {
            continue;
        }
        let separator = if composed.text.is_empty() { "" } else { SEPARATOR };
        let part = format!("{separator}# {}\n\n{}", layer.title, layer.content);
        let fits = composed.dropped.is_empty() && composed.text.len() + part.len() <= budget;
        if layer.firm || fits {
            composed.text.push_str(&part);
        } else {
            composed.dropped.push(layer.title);
        }
    }
    composed
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn layer(path: &str, content: &str) -> Layer {
        Layer {
            note: NoteId::new(path.replace('/', ":")).unwrap(),
            title: path.into(),
            content: content.into(),
            firm: false,
        }
    }

    fn firm(path: &str, content: &str) -> Layer {
        Layer {
            firm: true,
            ..layer(path, content)
        }
    }

    /// A layer of that many bytes.
    fn sized(path: &str, bytes: usize) -> Layer {
        layer(path, &"x".repeat(bytes))
    }

    fn sized_firm(path: &str, bytes: usize) -> Layer {
        firm(path, &"x".repeat(bytes))
    }

    fn text(layers: Vec<Layer>) -> String {
        let composed = compose(layers, BUDGET);
        assert_eq!(composed.dropped, Vec::<String>::new());
        composed.text
    }

    /// The headings that stand in the text, and those that were dropped.
    fn titles(composed: &Composed) -> (Vec<&str>, Vec<&str>) {
        let kept = composed.text.lines().filter_map(|line| line.strip_prefix("# "));
        (kept.collect(), composed.dropped.iter().map(String::as_str).collect())
    }

    #[test]
    fn tc_sp_1_one_entry_is_its_path_and_its_bytes() {
        let body = "\n  Keep  this.  \t\n\n";
        assert_eq!(text(vec![layer("Agents/eng", body)]), format!("# Agents/eng\n\n{body}"));
    }

    #[test]
    fn tc_sp_2_entries_are_joined_in_order() {
        let layers = vec![layer("a", "A"), layer("b", "B"), layer("c", "C")];
        assert_eq!(text(layers), "# a\n\nA\n\n---\n\n# b\n\nB\n\n---\n\n# c\n\nC");
    }

    #[test]
    fn tc_sp_3_a_path_counts_once() {
        let layers = vec![layer("a", "A"), layer("b", "B"), layer("a", "again")];
        assert_eq!(text(layers), "# a\n\nA\n\n---\n\n# b\n\nB");
    }

    #[test]
    fn tc_sp_4_blank_entries_are_passed_over() {
        let layers = vec![layer("a", " \n\t "), layer("b", ""), layer("c", "C")];
        assert_eq!(text(layers), "# c\n\nC");
    }

    #[test]
    fn tc_sp_5_nothing_comes_to_nothing() {
        assert_eq!(compose(Vec::new(), BUDGET), Composed::default());
    }

    #[test]
    fn tc_sp_6_what_fits_is_kept() {
        let composed = compose(vec![sized_firm("self", 500), sized("n1", 100)], 700);
        assert_eq!(titles(&composed), (vec!["self", "n1"], vec![]));
        // To the byte: the limit itself still fits.
        let exact = composed.text.len();
        let layers = || vec![sized_firm("self", 500), sized("n1", 100)];
        assert_eq!(compose(layers(), exact).dropped, Vec::<String>::new());
        assert_eq!(compose(layers(), exact - 1).dropped, ["n1"]);
    }

    #[test]
    fn tc_sp_7_what_does_not_fit_is_dropped_from_there_on() {
        let own = sized_firm("self", 500);
        let whole = format!("# self\n\n{}", own.content);
        let composed = compose(vec![own, sized("n1", 150), sized("n2", 400), sized("n3", 1)], 700);
        assert!(composed.text.starts_with(&whole) && composed.text.len() <= 700);
        // The last one would fit, but a later note never goes before an earlier one.
        assert_eq!(titles(&composed), (vec!["self", "n1"], vec!["n2", "n3"]));
        let composed = compose(
            vec![
                sized_firm("self", 500),
                sized("n1", 400),
                sized("n2", 400),
                sized("n3", 400),
            ],
            700,
        );
        assert_eq!(composed.text, whole);
        assert_eq!(composed.dropped, ["n1", "n2", "n3"]);
    }

    #[test]
    fn tc_sp_8_an_own_text_over_the_budget_stays_whole() {
        let composed = compose(vec![sized_firm("self", 2000), sized("n1", 1)], 100);
        assert_eq!(composed.text.len(), "# self\n\n".len() + 2000);
        assert_eq!(composed.dropped, ["n1"]);
    }

    #[test]
    fn tc_sp_9_the_budget_is_600_000_bytes() {
        let composed = compose(
            vec![sized_firm("self", 599_000), sized("n1", 900), sized("n2", 900)],
            BUDGET,
        );
        assert_eq!(titles(&composed), (vec!["self", "n1"], vec!["n2"]));
    }

    #[test]
    fn tc_sp_10_role_self_and_thread_are_protected() {
        let layers = vec![
            sized_firm("role", 200),
            sized_firm("self", 200),
            sized_firm("thread", 200),
            sized("n1", 800),
            sized("n2", 800),
        ];
        let composed = compose(layers, 900);
        assert_eq!(titles(&composed), (vec!["role", "self", "thread"], vec!["n1", "n2"]));
    }

    #[test]
    fn tc_sp_11_self_and_thread_are_protected() {
        let layers = vec![
            sized_firm("self", 300),
            sized_firm("thread", 300),
            sized("n1", 800),
            sized("n2", 800),
        ];
        let composed = compose(layers, 900);
        assert_eq!(titles(&composed), (vec!["self", "thread"], vec!["n1", "n2"]));
    }

    #[test]
    fn tc_sp_12_a_protected_pair_over_the_budget_stays_whole() {
        let composed = compose(
            vec![sized_firm("self", 600), sized_firm("thread", 600), sized("n1", 1)],
            900,
        );
        assert_eq!(composed.text.matches('x').count(), 1200);
        assert_eq!(titles(&composed), (vec!["self", "thread"], vec!["n1"]));
    }

    #[test]
    fn tc_sp_13_the_order_is_kept() {
        let layers = vec![firm("self", "S"), firm("thread", "T"), layer("skill", "K")];
        assert_eq!(
            text(layers),
            "# self\n\nS\n\n---\n\n# thread\n\nT\n\n---\n\n# skill\n\nK"
        );
    }

    #[test]
    fn tc_sp_14_without_self_the_role_and_thread_are_protected() {
        let layers = vec![sized_firm("role", 400), sized_firm("thread", 400), sized("n1", 800)];
        let composed = compose(layers, 500);
        assert_eq!(titles(&composed), (vec!["role", "thread"], vec!["n1"]));
    }

    #[test]
    fn tc_sp_15_protection_is_a_mark_of_the_layer_and_not_a_count() {
        // A role that is the definition's own note takes its place. A count would then protect the first note behind it.
        let composed = compose(
            vec![sized_firm("self", 200), sized_firm("self", 200), sized("n1", 800)],
            500,
        );
        assert_eq!(titles(&composed), (vec!["self"], vec!["n1"]));
        // Nor is a loadout that stands alone protected.
        let composed = compose(vec![sized("n1", 800)], 500);
        assert_eq!(titles(&composed), (vec![], vec!["n1"]));
    }

    #[test]
    fn the_budget_counts_bytes_and_not_characters() {
        let composed = compose(vec![layer("n1", &"ü".repeat(60))], 100);
        assert_eq!(composed.dropped, ["n1"]);
    }
}
