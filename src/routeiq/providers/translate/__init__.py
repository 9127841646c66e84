"""Translation between dialects: every client's to every provider's, by way of one neutral conversation.

`chat` holds the neutral words, `codec` the two protocols, and each dialect a package with its `client` side, its
`provider` side, or both.
"""
