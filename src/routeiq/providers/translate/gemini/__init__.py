"""Google's Gemini API, and Vertex AI's dialect of it: `generateContent`, `countTokens`, `embedContent`.

https://ai.google.dev/api/generate-content
"""
