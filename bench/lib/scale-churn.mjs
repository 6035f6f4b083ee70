export const churn = async () => ({ latencies: {}, watch: [], counts: '', failed: [] });
