/** A name inside SQL text, or a text inside a full-text query: both stand in double quotes. */
export const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
