//! Whose order is it? A turn about orders goes through here: a verified customer sees their own orders, anybody else
//! is asked for the order number and the contact given with it, and may be wrong five times.

use chrono::Duration;
use minijinja::context;

use super::{Asked, Engine, EngineError, Said, people::hand_over};
use crate::{
    catalog::{Order, Product},
    conversation::{Conversation, PendingVerification},
    intents::Intent,
    message::Route,
    orders::{self, PROOFS_MAX},
    prompts::Phrase,
    retrieval::lexical::terms,
};

impl Engine {
    /// The turn, if it is about an order by its number, or gives the proof that was asked for.
    pub(super) async fn verify(
        &self,
        conversation: &mut Conversation,
        asked: &Asked<'_>,
    ) -> Result<Option<Said>, EngineError> {
        let numbers = asked.snapshot.order_numbers.find(asked.raw);
        let contacts = orders::contacts(asked.raw);
        let pending = conversation.memory.verification.take();
        if conversation.verified_customer().is_some() {
            if numbers.is_empty() {
                return Ok(None);
            }
            return self.order_status(conversation, asked, &numbers).await.map(Some);
        }
        let asks_order = matches!(asked.intent, Intent::OrderStatus | Intent::CancelOrder | Intent::ChangeOrder);
        if numbers.is_empty() && (contacts.is_empty() || (pending.is_none() && !asks_order)) {
            // The shopper has gone on to something else: what was pending is kept only for an answer to it.
            return Ok(None);
        }
        let mut pending = pending.unwrap_or_else(|| PendingVerification {
            question: asked.text().to_owned(),
            ..PendingVerification::default()
        });
        pending.order_id = numbers.into_iter().next().or(pending.order_id);
        pending.contact = contacts.first().cloned().or(pending.contact);
        let (Some(order_id), Some(contact)) = (pending.order_id.clone(), pending.contact.clone()) else {
            let said = self.ask_for_proof(asked, &pending);
            conversation.memory.verification = Some(pending);
            return Ok(Some(said));
        };
        let day_ago = self.now() - Duration::days(1);
        let failures = self.store.verification_failures(&order_id, day_ago..self.now()).await?;
        if pending.failures >= PROOFS_MAX || failures >= i64::from(PROOFS_MAX) {
            return Ok(Some(hand_over(Phrase::VerifyLocked)));
        }
        let order = self.store.order(&order_id).await?;
        let contacts = if contacts.is_empty() { vec![contact] } else { contacts };
        match order.filter(|order| orders::proves(order, &contacts)) {
            Some(order) => {
                conversation.memory.verified_customer = Some(order.customer_id.clone());
                conversation.memory.order = Some(order.order_id.clone());
                Ok(Some(self.tell(asked, &[&order])))
            }
            None => self.refuse_proof(conversation, asked, pending, &order_id).await.map(Some),
        }
    }

    async fn refuse_proof(
        &self,
        conversation: &mut Conversation,
        asked: &Asked<'_>,
        mut pending: PendingVerification,
        order_id: &str,
    ) -> Result<Said, EngineError> {
        // The same failure whether the order exists or not: nobody learns which numbers do.
        if self.clock.replayed().is_none() {
            self.store.add_verification_failure(order_id, self.now()).await?;
        }
        pending.failures += 1;
        pending.contact = None;
        let left = PROOFS_MAX.saturating_sub(pending.failures);
        if left == 0 {
            return Ok(hand_over(Phrase::VerifyLocked));
        }
        conversation.memory.verification = Some(pending);
        let text = self.prompts.say(asked.language, Phrase::VerifyFailed, context! { left });
        Ok(Said::new(Route::VerifyIdentity, text))
    }

    fn ask_for_proof(&self, asked: &Asked<'_>, pending: &PendingVerification) -> Said {
        let text = match (&pending.order_id, &pending.contact) {
            (Some(order), _) => self.prompts.say(asked.language, Phrase::VerifyContact, context! { order }),
            (None, Some(_)) => self.say(asked, Phrase::VerifyOrder),
            (None, None) => self.say(asked, Phrase::Verify),
        };
        Said::new(Route::VerifyIdentity, text)
    }

    /// Tells a verified customer about the orders that are meant; asks anybody else for proof.
    pub(super) async fn order_status(
        &self,
        conversation: &mut Conversation,
        asked: &Asked<'_>,
        numbers: &[String],
    ) -> Result<Said, EngineError> {
        let Some(customer) = conversation.verified_customer().map(str::to_owned) else {
            let pending = PendingVerification { question: asked.text().to_owned(), ..PendingVerification::default() };
            let said = self.ask_for_proof(asked, &pending);
            conversation.memory.verification = Some(pending);
            return Ok(said);
        };
        let own = self.store.orders_of(&customer).await?;
        if own.is_empty() {
            return Ok(Said::new(Route::OrderStatus, self.say(asked, Phrase::OrderNone)));
        }
        let meant: Vec<&Order> = if numbers.is_empty() {
            let earlier = conversation.memory.order.clone().filter(|_| asked.context.is_some());
            let named = Self::named_products(asked);
            match own.iter().find(|order| Some(&order.order_id) == earlier.as_ref()) {
                Some(order) => vec![order],
                None => orders::meant(&own, &named.iter().collect::<Vec<_>>()),
            }
        } else {
            own.iter().filter(|order| numbers.contains(&order.order_id)).collect()
        };
        if meant.is_empty() {
            return Ok(self.plain(asked, Route::VerifyIdentity, Phrase::OrderOfSomebodyElse));
        }
        conversation.memory.order = Some(meant[0].order_id.clone());
        Ok(self.tell(asked, &meant))
    }

    pub(super) fn tell(&self, asked: &Asked<'_>, orders: &[&Order]) -> Said {
        let mut lines: Vec<String> = orders
            .iter()
            .take(3)
            .map(|order| orders::describe(order, &asked.snapshot.titles, asked.language))
            .collect();
        if lines.len() > 1 {
            lines.insert(0, self.say(asked, Phrase::OrderIntroMany));
        }
        let about = orders.iter().flat_map(|order| order.items.iter().map(|item| item.sku.clone())).collect();
        Said { about, ..Said::new(Route::OrderStatus, lines.join("\n")) }
    }

    /// Products that the message names, by title or by a word of their category.
    fn named_products(asked: &Asked<'_>) -> Vec<Product> {
        let recommender = &asked.snapshot.recommender;
        let mentioned: Vec<String> =
            recommender.mentions(asked.text()).into_iter().flat_map(|mention| mention.skus).collect();
        let said: Vec<String> = content_terms(asked.text());
        let of_category = |product: &&Product| content_terms(&product.category).iter().any(|term| said.contains(term));
        let products = recommender.products();
        if mentioned.is_empty() {
            products.filter(of_category).cloned().collect()
        } else {
            products.filter(|product| mentioned.contains(&product.sku)).cloned().collect()
        }
    }
}

fn content_terms(text: &str) -> Vec<String> {
    terms(text).into_iter().filter(|term| !term.stop).map(|term| term.text).collect()
}
