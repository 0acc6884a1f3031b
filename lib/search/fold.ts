/**
 * Case folding for search, the rule for stored names and for terms; callers can use it to predict results. Lower, upper
 * and lower case again unifies case in any script (ß, ẞ and ss), NFKC unifies forms (full width, ligatures).
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, control characters included
const ASCII = /^[\u0000-\u007f]*$/;
const DOTTED_I = /i\u0307/g; // what İ becomes in lower case

/**
 * The form in which search compares `text`: `fold('ÄPFEL') === fold('äpfel')`, `fold('Straße') === fold('STRASSE')`.
 */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  const folded = text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFKC');
  return folded.replaceAll('ς', 'σ').replace(DOTTED_I, 'i');
}
