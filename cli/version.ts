/** Of this package; what the API server says of itself is in `/version`. */
export const VERSION = '0.1.0';
