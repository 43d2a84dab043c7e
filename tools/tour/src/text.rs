//! Owns the two languages: every sentence that the tour says is a [`Text`], so none can lack a translation.

/// A language of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lang {
    En,
    Zh,
}

/// The same words in both languages. Line breaks inside a paragraph mean nothing; a blank line ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) en: &'static str,
    pub(crate) zh: &'static str,
}

impl Text {
    /// The words in one language.
    pub(crate) fn get(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }

    /// The words with each `{}` replaced in turn.
    pub(crate) fn with(&self, lang: Lang, values: &[&str]) -> String {
        values.iter().fold(self.get(lang).to_string(), |text, value| text.replacen("{}", value, 1))
    }
}
