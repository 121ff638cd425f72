/**
 * Fills a template: {{name}} is a value, and <!-- each list --> … <!-- end --> is repeated for every entry of `list`, with the
 * entry's fields as values. Values are escaped.
 */
export function fill(template, values) {
  const repeated = template.replace(/[ \t]*<!-- each (\w+) -->\n([\s\S]*?)[ \t]*<!-- end -->\n/g, (_, list, part) =>
    values[list].map((entry) => fill(part, entry)).join(''),
  );
  return repeated.replace(/\{\{(\w+)\}\}/g, (_, name) => escapeHtml(String(values[name] ?? '')));
}

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}
