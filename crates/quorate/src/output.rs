//! What a person reads on standard output. A reader that goes away (`| head`) is no error.

use std::io::{self, Write as _};

use crate::failure::Result;

/// One line, or several.
pub fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A hint beside the value on standard output, which a script takes: on standard error.
pub fn note(text: &str) {
    // A hint that nobody can read is not worth a failure.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Columns under their names, as wide as their longest cell.
pub fn table<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = names.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(names)).chain(rows).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = [["lhr".to_owned(), "London, GB".to_owned()], ["f".to_owned(), "Zürich".to_owned()]];
        assert_eq!(table(["pop", "place"], &rows), "pop  place\nlhr  London, GB\nf    Zürich");
    }
}
