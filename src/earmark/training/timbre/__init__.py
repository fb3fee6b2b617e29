"""Learning the `default` profile of the `timbre` encoder.

``python -m earmark.training.timbre --cache FOLDER`` renders notes and drums from free sound fonts
(`render`), makes further sounds with a small synthesiser (`synth`), degrades copies of both
(`degrade`), learns the projection and the code (`learn`) and writes the package's data file.
What was used for learning and what is kept for measuring stands in ``split.json`` (`split`).
No recording of a user, and none of the sets that the project is measured on, takes part.
"""
