/** Tables as docker prints them (Go's text/tabwriter: left-aligned cells, three blanks between). Pure. */

export interface TableLayout {
  /** Least width of a cell, its padding included: 10 for `ps`, 20 for `ls`. */
  readonly minWidth: number;
  readonly padding: number;
}

const psLayout: TableLayout = { minWidth: 10, padding: 3 };

/** Rows with a header → text with a newline at its end. The last column is not padded. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  layout: TableLayout = psLayout,
): string {
  const lines = [header, ...rows];
  const widths = header.map((_title, column) => {
    const longest = Math.max(...lines.map((line) => textWidth(line[column] ?? '')));
    return Math.max(layout.minWidth, longest + layout.padding);
  });
  return lines.map((line) => `${line.map((cell, column) => padCell(cell, column, line.length, widths)).join('')}\n`).join('');
}

/** Code points, as tabwriter counts; good enough for names that are ASCII by their grammar. */
export function textWidth(text: string): number {
  return [...text].length;
}

function padCell(cell: string, column: number, columns: number, widths: readonly number[]): string {
  if (column === columns - 1) return cell;
  return cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - textWidth(cell)));
}
