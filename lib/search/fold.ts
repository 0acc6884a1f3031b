/**
 * Case folding for search, the one rule for stored names, for terms and for whoever wants to predict a result. Lower, upper
 * and lower case again joins what differs by case in any script (ß, ẞ and ss), NFKC what differs by form (full width,
 * ligatures).
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, control characters included
const ASCII = /^[\u0000-\u007f]*$/;
const DOTTED_I = /i\u0307/g; // what İ becomes in lower case

/** `text` as search compares it: `fold('ÄPFEL') === fold('äpfel')`, `fold('Straße') === fold('STRASSE')`. */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  const folded = text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFKC');
  return folded.replaceAll('ς', 'σ').replace(DOTTED_I, 'i');
}
