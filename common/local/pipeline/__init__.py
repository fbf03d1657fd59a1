"""CircleCI on this machine: reads the two YAML files as they are and plays what CircleCI would do for a commit.

    play(repo, settings, branch="feature") → PipelineResult

Data flow one way: `config` (YAML → typed values) → `process` (values → jobs, pure) and `paths` (files → parameters) →
`plan` (what runs for a commit) → `run` (play it). `check` looks for what CircleCI would only say after the push.
"""
