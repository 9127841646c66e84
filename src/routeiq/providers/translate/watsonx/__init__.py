"""IBM watsonx.ai.

https://cloud.ibm.com/apidocs/watsonx-ai#text-chat
"""
