/** Fills an empty store, and leaves one alone that has been filled before. */
import * as store from '../common/store.mjs';

const catalogue = [
  { id: 'bread', name: 'Rye bread', cents: 420 },
  { id: 'honey', name: 'Lime-tree honey', cents: 790 },
  { id: 'cheese', name: 'Mountain cheese', cents: 1150 },
  { id: 'apples', name: 'A bag of apples', cents: 310 },
];
const firstOrders = ['bread', 'honey', 'apples', 'bread', 'cheese', 'honey'];
const schema = 1;

if ((await store.get('schema')) === schema) {
  console.log('already up to date');
} else {
  for (const product of catalogue) await store.put(`product/${product.id}`, product);
  for (const [index, product] of firstOrders.entries()) {
    const id = String(index + 1).padStart(6, '0');
    await store.put(`order/${id}`, { id, product, status: 'new', at: new Date().toISOString() });
  }
  // Last: a run that was cut short starts over.
  await store.put('schema', schema);
  console.log(`${catalogue.length} products and ${firstOrders.length} orders written`);
}
