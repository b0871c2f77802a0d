"""The Chicago taxi retraining pipeline: will this passenger tip more than a fifth of the fare?"""
