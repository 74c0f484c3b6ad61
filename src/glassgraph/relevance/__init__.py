"""Modified backward passes: rules of LRP and guided backpropagation, attached and removed again.

Every rule is written as a *modified gradient*: the forward pass keeps its values to the last bit,
the backward pass is another one, and the relevance of any tensor ``a`` on the way is ``a * da``
where ``da`` is what autograd finds for it. Input features, messages (through their gates) and
hidden states then have their relevance from one ordinary call of ``torch.autograd.grad``.

Rules attach to tensor *operations* (a `torch.overrides.TorchFunctionMode` sees them), not to layer
types. Functional ``relu``, layers nobody has written yet, and custom message functions are reached
alike; nothing is registered on the model but two hooks that tell which module runs.

| file | one sentence |
| --- | --- |
| `rules.py` | the rules, each as an algebra of *parts* of a linear map |
| `signed_rules.py` | those that treat positive and negative contributions differently |
| `input_rules.py` | rules for the first weights, which features meet |
| `rule_names.py` | rules by name |
| `operations.py` | what kind of operation each function of torch is |
| `module_scope.py` | in which modules an operation runs |
| `linear_segments.py` | values within linear segments, and the parts carried beside them |
| `handlers.py` | what is done with each kind of operation |
| `tape.py` | the mode that applies rules while the model runs |
| `guided.py` | the mode of guided backpropagation |
| `walks.py` | all walks through a model at once, as products of matrices |
| `walk_cuts.py`, `walk_gradients.py`, `walk_reader.py` | read them out of a model |
"""
