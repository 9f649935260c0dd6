"""The strategies, each in a module of its own; their front door is ``execution_strategy``.

base           what a strategy is, and the steps that all of them share
batch          sources first                    streaming      sinks first
hybrid         streams first, then the batch    priority       sources first, urgent ones before
config_based   one of these orders, as the tags of the pipes say
by_name        a strategy from its name: built in, or the entry point of a distribution
"""
