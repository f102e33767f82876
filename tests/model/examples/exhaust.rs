//! Exhausts the rows of the model whose numbers are given, all five without any.

use quorate_model::row::rows;

fn main() {
    let chosen: Vec<usize> = std::env::args().skip(1).map(|number| number.parse().expect("the number of a row, 1 to 5")).collect();
    for (number, row) in (1..).zip(rows()) {
        if chosen.is_empty() || chosen.contains(&number) {
            println!("row {number}: {}", row.exhaust());
        }
    }
}
