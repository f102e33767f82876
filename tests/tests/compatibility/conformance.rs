//! Every documented operation, asked over real HTTP, with answers held against our own description, and against the
//! vendor's where it is at hand.

mod client;
mod rooms;
mod views;
mod walk;

use quorate_testkit::world::Plan;

use client::Client;

#[tokio::test]
async fn every_operation_is_asked_and_answers_as_described() {
    let world = Plan::small().build().await;
    let client = Client::new(&world.operator);
    rooms::monitors(&client).await;
    rooms::pools(&client).await;
    rooms::monitor_groups(&client).await;
    rooms::load_balancers(&client).await;
    rooms::health_checks(&client).await;
    rooms::users_own(&client).await;
    views::verdicts(&client, &world).await;
    views::previews(&client, &world).await;
    views::references_and_search(&client).await;
    views::places_and_people(&client).await;
    client.asked_everything();
}
