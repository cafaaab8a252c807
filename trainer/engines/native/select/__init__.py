"""Which of the candidates count: convergence, Pareto fronts, clusters."""
